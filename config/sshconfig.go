package config

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"alf"
)

// The files of ssh_config(5) are read here and not by a library: the one that is
// kept well, kevinburke/ssh_config, gives a whole file up for a Match that it does
// not know, looks for included files in the home folder of whoever runs the
// process, and does not say where a setting of an included file stands.

// sshLine is a line of such a file.
type sshLine struct {
	at      alf.Position
	keyword string     // as it is written
	args    []string   // at least one
	scope   [][]string // patterns of Host, each of which must match: those of included files are in others'
}

const (
	maxSSHConfig  = 1 << 20
	maxSSHInclude = 16 // as ssh has it
)

// sshConfigFiles reads use_ssh_config: true, false, or files.
func (l *loader) sshConfigFiles(v value) ([]string, error) {
	switch x := v.any.(type) {
	case bool:
		if !x {
			return nil, nil
		}
		files := []string{"/etc/ssh/ssh_config"}
		if home := l.Getenv("HOME"); home != "" {
			files = append([]string{filepath.Join(home, ".ssh/config")}, files...)
		}
		return files, nil
	case string, []value:
		files, err := oneOrMore(l.path)(v)
		for _, file := range files {
			if err == nil {
				err = checkFile(file, notWritable)
			}
		}
		return files, err
	}
	return nil, v.want("true, false, or files", func() *shape {
		return either(&shape{Type: "boolean"}, texts(""), list(texts("")))
	})
}

// sshLines returns the lines of a file and of those that it includes. One that is
// not there has none.
func (r *resolver) sshLines(file string) []sshLine {
	lines, known := r.sshFiles[file]
	if !known {
		p := &sshParser{resolver: r}
		p.read(file, nil, 0)
		lines = p.lines
		r.sshFiles[file] = lines
	}
	return lines
}

type sshParser struct {
	*resolver
	lines []sshLine
}

// never is a scope in which no host is.
var never = []string{"!*"}

// read reads a file that is included where scope stands.
func (p *sshParser) read(file string, scope [][]string, depth int) {
	data, err := readOwn(file, maxSSHConfig, notWritable)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		p.lose(file, err)
		return
	}
	outer := scope
	number := 0
	for text := range strings.Lines(string(data)) {
		number++
		at := alf.Position{File: file, Line: number}
		words, err := sshWords(text)
		switch {
		case err != nil:
			p.add(at, "%v", err)
			continue
		case len(words) == 0:
			continue
		case len(words) == 1:
			p.add(at, "%s: there is nothing behind it", words[0])
			continue
		}
		switch args := words[1:]; strings.ToLower(words[0]) {
		case "host":
			scope = append(slices.Clone(outer), args)
		case "match":
			scope = outer
			if len(args) != 1 || !strings.EqualFold(args[0], "all") {
				p.warn(at, "Match is not understood: what stands from here to the next Host or Match is left out")
				scope = append(slices.Clone(outer), never)
			}
		case "include":
			p.include(at, args, scope, depth)
		default:
			p.lines = append(p.lines, sshLine{at, words[0], args, scope})
		}
	}
}

func (p *sshParser) include(at alf.Position, patterns []string, scope [][]string, depth int) {
	if depth == maxSSHInclude {
		p.add(at, "Include: more than %d files in one another", maxSSHInclude)
		return
	}
	home := p.Getenv("HOME")
	for _, pattern := range patterns {
		switch rest, ok := strings.CutPrefix(pattern, "~/"); {
		case ok:
			pattern = filepath.Join(home, rest)
		case filepath.IsAbs(pattern):
		case strings.HasPrefix(at.File, "/etc/ssh/"):
			pattern = filepath.Join("/etc/ssh", pattern)
		default: // a file elsewhere is taken for one of ~/.ssh by ssh -F; its own folder is meant
			pattern = filepath.Join(filepath.Dir(at.File), pattern)
		}
		files, err := filepath.Glob(pattern)
		if err != nil {
			p.add(at, "Include: %q is no pattern", pattern)
		}
		for _, file := range files {
			p.read(file, scope, depth+1)
		}
	}
}

// sshWords splits a line into its keyword and its arguments.
func sshWords(line string) ([]string, error) {
	rest := strings.TrimSpace(line)
	var words []string
	for rest != "" && rest[0] != '#' {
		var word string
		if rest[0] == '"' {
			end := strings.IndexByte(rest[1:], '"')
			if end < 0 {
				return nil, errors.New("a quotation mark is missing")
			}
			word, rest = rest[1:1+end], rest[2+end:]
		} else {
			stops := " \t"
			if len(words) == 0 {
				stops += "="
			}
			end := strings.IndexAny(rest, stops)
			if end < 0 {
				end = len(rest)
			}
			word, rest = rest[:end], rest[end:]
		}
		rest = strings.TrimLeft(rest, " \t")
		if len(words) == 0 {
			rest = strings.TrimLeft(strings.TrimPrefix(rest, "="), " \t")
		}
		words = append(words, word)
	}
	return words, nil
}

// fits reports whether a line is for a host of that name.
func (s sshLine) fits(name string) bool {
	for _, patterns := range s.scope {
		if !sshMatches(patterns, name) {
			return false
		}
	}
	return true
}

// sshMatches reports whether one of the patterns matches, and none with a "!".
func sshMatches(patterns []string, name string) bool {
	found := false
	for _, p := range patterns {
		positive := strings.TrimPrefix(p, "!")
		// What path.Match knows beyond * and ? are no characters of names.
		if ok, _ := path.Match(strings.ReplaceAll(positive, "[", `\[`), name); ok {
			if len(positive) < len(p) {
				return false
			}
			found = true
		}
	}
	return found
}

// sshSettings is what the files say about one host.
type sshSettings struct {
	*resolver
	name    string // what the files call the host
	files   []string
	ssh     ssh
	address opt[string]
	keys    []sshLine // IdentityFile
	certs   []sshLine // CertificateFile
	users   []sshLine // UserKnownHostsFile, one at most
	global  []sshLine // GlobalKnownHostsFile
	more    []sshLine // what is not followed
}

// withSSHConfig returns the settings of a host where its files of ssh_config are
// asked as well, before the defaults, and its address.
func (r *resolver) withSSHConfig(name string, explicit ssh, address opt[string]) (ssh, opt[string]) {
	if len(explicit.sshConfig.v) == 0 {
		return explicit.over(r.sshDefaults()), address
	}
	s := &sshSettings{resolver: r, name: name, files: explicit.sshConfig.v}
	seen := make(map[string]bool)
	for _, file := range s.files {
		for _, line := range r.sshLines(file) {
			if !line.fits(name) {
				continue
			}
			keyword := strings.ToLower(line.keyword)
			if repeats := keyword == "identityfile" || keyword == "certificatefile"; seen[keyword] && !repeats {
				continue
			}
			seen[keyword] = true
			if err := s.take(keyword, line); err != nil {
				r.addOnce(line.at, fmt.Sprintf("%s: %v", line.keyword, err))
			}
		}
	}
	s.warnUnused(explicit)
	address = address.or(s.address)
	out := explicit.over(s.ssh)
	s.expandFiles(&out, address.or(some(name)).v)
	return out.over(r.sshDefaults()), address
}

// take takes in a line.
func (s *sshSettings) take(keyword string, line sshLine) error {
	v := value{at: line.at, any: line.args[0]}
	first := line.args[0]
	switch keyword {
	case "hostname":
		v.any = strings.ReplaceAll(strings.ReplaceAll(first, "%h", s.name), "%%", "%")
		return setFrom(&s.address, v, readAddress)
	case "user":
		return setFrom(&s.ssh.user, v, word)
	case "port":
		return setFrom(&s.ssh.port, v, sshNumber(number(1, 65535)))
	case "identityfile":
		s.keys = append(s.keys, line)
	case "certificatefile":
		s.certs = append(s.certs, line)
	case "identitiesonly":
		if yes, err := sshYes(first); err != nil || yes {
			s.ssh.agent = opt[bool]{true, line.at, false}
			return err
		}
	case "proxyjump":
		return s.jumps(line)
	case "userknownhostsfile":
		s.users = append(s.users, line)
	case "globalknownhostsfile":
		s.global = append(s.global, line)
	case "connecttimeout":
		if !strings.EqualFold(first, "none") {
			if strings.Trim(first, digits) == "" {
				v.any = first + "s"
			}
			return setFrom(&s.ssh.connectTimeout, v, duration(time.Second, time.Hour))
		}
	case "hostkeyalias":
		return setFrom(&s.ssh.hostKeyAlias, v, readAlias)
	case "stricthostkeychecking":
		return s.strictness(line)
	default:
		if !slices.Contains(sshHarmless, keyword) {
			s.more = append(s.more, line)
		}
	}
	return nil
}

func setFrom[T any](dst *opt[T], v value, read func(value) (T, error)) error {
	got, err := read(v)
	*dst = opt[T]{true, v.at, got}
	return err
}

// sshNumber reads a number that is written as a text.
func sshNumber(read func(value) (int, error)) func(value) (int, error) {
	return func(v value) (int, error) {
		n, err := strconv.ParseInt(v.any.(string), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%q is no number", v.any)
		}
		return read(value{v.at, n})
	}
}

func sshYes(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "yes", "true":
		return true, nil
	case "no", "false":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither yes nor no", s)
}

// strictness reads StrictHostKeyChecking. Nobody is there to be asked, and a key
// that has changed is never accepted.
func (s *sshSettings) strictness(line sshLine) error {
	policy := alf.HostKeyStrict
	switch strings.ToLower(line.args[0]) {
	case "yes", "true", "ask":
	case "accept-new":
		policy = alf.HostKeyAcceptNew
	case "no", "off", "false":
		s.more = append(s.more, line)
		return nil
	default:
		return fmt.Errorf("%q is none of yes, ask, accept-new, no", line.args[0])
	}
	s.ssh.hostKeyPolicy = opt[string]{true, line.at, policy}
	return nil
}

// jumps reads ProxyJump. Names that no host has are those of the same files.
func (s *sshSettings) jumps(line sshLine) error {
	s.ssh.proxyJump = opt[[]jump]{set: true, at: line.at}
	if strings.EqualFold(line.args[0], "none") {
		return nil
	}
	for _, text := range strings.Split(line.args[0], ",") {
		text = strings.TrimPrefix(text, "ssh://")
		j, err := readJump(value{line.at, text})
		if err != nil {
			return err
		}
		j.files = s.files
		if _, known := s.byName[alf.HostName(j.name)]; !known && j.host == "" {
			if err := j.place(text); err != nil {
				return err
			}
		}
		s.ssh.proxyJump.v = append(s.ssh.proxyJump.v, j)
	}
	return nil
}

// expandFiles fills in the names of files, in which the other settings may stand.
func (s *sshSettings) expandFiles(out *ssh, address string) {
	if len(s.keys) > 0 && !out.identityFiles.set {
		out.identityFiles = opt[[]string]{true, s.keys[0].at, s.named(s.keys, out, address, s.identity)}
	}
	if len(s.certs) > 0 && !out.certificates.set {
		out.certificates = opt[[]string]{true, s.certs[0].at, s.named(s.certs, out, address, s.certificateFile)}
	}
	if known := slices.Concat(s.users, s.global); known != nil && !out.knownHosts.set {
		base := s.sshDefaults().knownHosts.v
		users, global := base[:len(base)-1], base[len(base)-1:]
		if s.users != nil {
			users = s.named(s.users, out, address, s.path)
		}
		if s.global != nil {
			global = s.named(s.global, out, address, s.path)
		}
		out.knownHosts = opt[[]string]{true, known[0].at, slices.Concat(users, global)}
	}
}

// identity reads the name of a key. One that is not there is passed over, as ssh
// does.
func (s *sshSettings) identity(v value) (string, error) {
	name, err := s.identityFile(v)
	if errors.Is(err, fs.ErrNotExist) {
		s.warnOnce(v.at, fmt.Sprintf("IdentityFile: %v", err))
		return "", nil
	}
	return name, err
}

// named returns the files that lines name, with all that is to be expanded in them.
func (s *sshSettings) named(lines []sshLine, out *ssh, address string, read func(value) (string, error)) []string {
	var files []string
	for _, line := range lines {
		for _, text := range line.args {
			if strings.EqualFold(text, "none") {
				continue
			}
			file, err := s.expand(text, out, address)
			if err == nil {
				file, err = read(value{line.at, file})
			}
			if err != nil {
				s.addOnce(line.at, fmt.Sprintf("%s: %v", line.keyword, err))
			} else if file != "" {
				files = append(files, file)
			}
		}
	}
	return files
}

// expand replaces the tokens and environment variables of ssh_config(5) that say
// something to Alf.
func (s *sshSettings) expand(text string, out *ssh, address string) (string, error) {
	full := out.over(s.sshDefaults())
	tokens := map[byte]string{
		'%': "%", 'd': s.Getenv("HOME"), 'h': address, 'n': s.name, 'p': strconv.Itoa(full.port.v), 'r': full.user.v, 'u': currentUser(),
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch rest := text[i:]; {
		case rest[0] == '%' && len(rest) > 1:
			with, known := tokens[rest[1]]
			if !known {
				return "", fmt.Errorf("%q: %q is not known here", text, rest[:2])
			}
			b.WriteString(with)
			i++
		case strings.HasPrefix(rest, "${"):
			name, _, whole := strings.Cut(rest[2:], "}")
			if !whole || s.Getenv(name) == "" {
				return "", fmt.Errorf("%q: environment variable %s is not set", text, name)
			}
			b.WriteString(s.Getenv(name))
			i += len(name) + 2
		default:
			b.WriteByte(rest[0])
		}
	}
	return b.String(), nil
}

// sshHarmless are the keywords that make no difference to what Alf does over a
// connection, or that it does in its own way.
var sshHarmless = []string{
	"addkeystoagent", "batchmode", "canonicaldomains", "channeltimeout", "checkhostip", "clearallforwardings", "compression",
	"connectionattempts", "controlmaster", "controlpath", "controlpersist", "dynamicforward", "enableescapecommandline",
	"enablesshkeysign", "escapechar", "exitonforwardfailure", "fingerprinthash", "forkafterauthentication", "forwardagent",
	"forwardx11", "forwardx11timeout", "forwardx11trusted", "gatewayports", "gssapiauthentication", "gssapidelegatecredentials",
	"hashknownhosts", "hostbasedauthentication", "ignoreunknown", "ipqos", "kbdinteractiveauthentication", "localcommand",
	"localforward", "loglevel", "logverbose", "nohostauthenticationforlocalhost", "numberofpasswordprompts",
	"obscurekeystroketiming", "permitlocalcommand", "permitremoteopen", "proxyusefdpass", "rekeylimit", "remotecommand",
	"remoteforward", "requesttty", "sendenv", "serveralivecountmax", "serveraliveinterval", "sessiontype", "setenv",
	"stdinnull", "streamlocalbindmask", "streamlocalbindunlink", "syslogfacility", "tag", "tcpkeepalive", "tunnel",
	"tunneldevice", "updatehostkeys", "usekeychain", "visualhostkey", "xauthlocation",
}

// warnUnused warns of what would matter and is not followed.
func (s *sshSettings) warnUnused(explicit ssh) {
	for _, line := range s.more {
		switch keyword := strings.ToLower(line.keyword); {
		case strings.EqualFold(line.args[0], "none"):
		case keyword == "proxycommand" && explicit.proxyJump.set, keyword == "stricthostkeychecking" && explicit.hostKeyPolicy.set:
		case keyword == "proxycommand" && s.ssh.proxyJump.set && before(s.ssh.proxyJump.at, line.at, s.files):
		case keyword == "proxycommand":
			s.warnOnce(line.at, "ProxyCommand is not followed: hosts are reached directly, or through proxy_jump")
		case keyword == "stricthostkeychecking":
			s.warnOnce(line.at, "StrictHostKeyChecking no is not followed: unknown keys are refused; see host_key_policy")
		default:
			s.warnOnce(line.at, line.keyword+" is not followed")
		}
	}
}

// before reports whether a line comes before another, so that it wins.
func before(a, b alf.Position, files []string) bool {
	if a.File == b.File {
		return a.Line < b.Line
	}
	return slices.Index(files, a.File) <= slices.Index(files, b.File)
}

// warnOnce adds a warning unless it is there already.
func (r *resolver) warnOnce(at alf.Position, text string) {
	if e := (Error{at.File, at.Line, text}); !r.said[e] {
		r.said[e] = true
		r.warn(at, "%s", text)
	}
}
