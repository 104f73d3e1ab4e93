// Package plugins holds the Nagios plugins that Alf ships, so that nothing needs to be installed on a host: POSIX
// shell scripts that are sent to `sh -s -- ARGUMENTS` over stdin. They read no input, write no file and do nothing
// unless all of a script has arrived. Their options, output and performance data are those of their namesakes.
package plugins

import "embed"

// scripts has one file per plugin, named as the plugin.
//
//go:embed check_*
var scripts embed.FS

// Open returns the script of the named plugin, or false if there is none. The caller owns the slice.
func Open(name string) (script []byte, ok bool) {
	script, err := scripts.ReadFile(name)
	return script, err == nil
}

// Names returns the names of all plugins in alphabetical order.
func Names() []string {
	entries, err := scripts.ReadDir(".")
	if err != nil {
		panic("plugins: " + err.Error()) // an embedded folder can always be read
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}
