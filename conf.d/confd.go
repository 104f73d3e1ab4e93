// Package confd holds the configuration of the demo. An installed Alf starts
// with an empty conf.d of its own.
package confd

import "embed"

// Files are the TOML files beside this one.
//
//go:embed *.toml
var Files embed.FS
