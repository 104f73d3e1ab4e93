package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"alf"
)

// A thing is what a table defines.
type thing interface {
	// keys says how each key of the table is read into the thing.
	keys(l *loader) keys
	// loaded is called when all keys are read; ok: without a mistake.
	loaded(l *loader, ok bool)
}

// An heir is a thing that asks for the table that it is read from.
type heir interface {
	// from says which table that is, with what it inherits.
	from(t *table)
}

// section is a kind of table.
type section struct {
	name  string
	named bool // [name.NAME], any number of them, rather than [name]
	open  func(l *loader, name string, at alf.Position) thing
}

// sections returns all kinds of tables in the order in which they are read:
// what others name comes first.
func sections() []section {
	return []section{
		{"secret", true, newSecret},
		{templateSection, true, newBlueprint},
		{"daemon", false, func(l *loader, _ string, _ alf.Position) thing { return &l.daemon }},
		{"journal", false, func(l *loader, _ string, at alf.Position) thing { l.journalAt = at; return &l.journal }},
		{"nagios", false, func(l *loader, _ string, at alf.Position) thing { l.nagiosAt = at; return &l.nagios }},
		{"web", false, func(l *loader, _ string, _ alf.Position) thing { return &l.web }},
		{"ssh", false, func(l *loader, _ string, _ alf.Position) thing { return sshSection{&l.ssh, &l.dialling} }},
		{"defaults", false, func(l *loader, _ string, _ alf.Position) thing { return &l.defaults }},
		{"timeperiod", true, newTimeperiod},
		{"action", true, newAction},
		{"contact", true, newContact},
		{"hostgroup", true, newHostgroup},
		hostSection(),
		{"source", true, newSource}, // the hosts of files count before its own
		{"check", true, newCheck},
		{"dependency", true, newDependency},
		{"escalation", true, newEscalation},
		{"downtime", true, newDowntime},
	}
}

// read reads all files into one tree, as far as they can be read.
func (l *loader) read(file string) {
	files := l.find(file)
	for i, p := range parseFiles(files) {
		file := files[i]
		if p.err != nil {
			l.lose(file, p.err)
		}
		l.errors, l.warnings = append(l.errors, p.errors...), append(l.warnings, p.warnings...)
		l.partial = l.partial || !p.whole
		if len(p.trees) > 0 {
			l.files = append(l.files, file)
			l.merge(l.root, p.trees[0])
			l.again = append(l.again, p.trees[1:]...)
		}
	}
}

// parsed is what a file says: first what counts, then what it sets again.
type parsed struct {
	mistakes
	trees []*table
	whole bool  // nothing of it was left out
	err   error // it could not be read
}

// parseFiles reads files, as many at a time as there are processors. What comes of
// them has their order.
func parseFiles(files []string) []parsed {
	all := make([]parsed, len(files))
	var next atomic.Int64
	var wait sync.WaitGroup
	for range min(len(files), runtime.GOMAXPROCS(0)) {
		wait.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(files)); i = next.Add(1) - 1 {
				all[i].read(files[i])
			}
		})
	}
	wait.Wait()
	return all
}

func (p *parsed) read(file string) {
	src, err := readOwn(file, maxConfigFile, notWritable)
	if err != nil {
		p.err = err
		return
	}
	p.trees, p.whole = parse(file, string(src), &p.mistakes)
}

// confD returns the folder of the files beside the main file.
func confD(file string) string { return filepath.Join(filepath.Dir(file), "conf.d") }

// find returns file and the files of conf.d beside it, by path. Names that
// begin with a dot are left out, as editors and Kubernetes expect.
func (l *loader) find(file string) []string {
	files := []string{file}
	root := confD(file)
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case d == nil && errors.Is(err, fs.ErrNotExist): // there is no conf.d
			return nil
		case d == nil:
			l.lose(path, err)
			return nil
		case path != root && strings.HasPrefix(d.Name(), "."):
			return skip(d)
		case err == nil:
			err = checkEntry(path, d, path == root)
		}
		if err != nil {
			l.lose(path, err)
			return skip(d)
		}
		if !d.IsDir() && filepath.Ext(path) == ".toml" {
			files = append(files, path)
		}
		return nil
	})
	slices.Sort(files[1:])
	return files
}

// checkEntry refuses what would hide files that somebody has written. root: it is
// conf.d itself.
func checkEntry(path string, d fs.DirEntry, root bool) error {
	link := d.Type()&fs.ModeSymlink != 0
	switch {
	case d.IsDir():
		return checkFolder(path)
	case link && (root || filepath.Ext(path) != ".toml"):
		if err := checkLink(path); err != nil {
			return err
		}
	}
	if root {
		return errors.New("is not a folder")
	}
	return nil
}

func skip(d fs.DirEntry) error {
	if d.IsDir() {
		return fs.SkipDir
	}
	return nil
}

// checkLink refuses a link to a folder: it would not be walked, and nobody
// would notice.
func checkLink(path string) error {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		err = &fs.PathError{Op: "read", Path: path, Err: errors.New("is a link to a folder; put the folder itself here")}
	}
	return err
}

// lose adds an error that belongs to no line, of a file or folder that nobody
// could look into.
func (l *loader) lose(file string, err error) {
	l.partial = true
	var path *fs.PathError
	if errors.As(err, &path) {
		file, err = path.Path, path.Err
	}
	l.add(alf.Position{File: file}, "%v", err)
}

// merge adds what a file says to what others have said.
func (l *loader) merge(all, file *table) {
	for _, key := range file.keys {
		v := file.values[key]
		old, ok := all.values[key]
		to, isTable := old.any.(*table)
		from, both := v.any.(*table)
		switch {
		case !ok:
			all.set(key, v)
		case isTable && both && !to.named():
			l.merge(to, from)
		case isTable && both:
			l.add(v.at, "%v is already set in %s", from, where(to.at))
			l.setApart(all.path, key, v)
		default:
			if !all.ofTables() {
				l.add(v.at, "%s in %v is already set in %s", key, file, where(old.at))
			}
			if both { // the table is more likely what was meant
				all.set(key, v)
				v = old
			}
			l.setApart(all.path, key, v)
		}
	}
}

// setApart keeps what is in the way of something else, to search it for mistakes.
func (l *loader) setApart(path []string, key string, v value) {
	t := newTable(nil, v.at)
	l.again = append(l.again, t)
	for _, name := range path {
		t = t.sub(name, v.at)
	}
	t.set(key, v)
}

// ofTables reports whether t holds only tables, so that anything else in it is a
// mistake by itself.
func (t *table) ofTables() bool {
	return len(t.path) == 0 || len(t.path) == 1 && namedSection(t.path[0])
}

// named reports whether t is a named table, which one file has for itself.
func (t *table) named() bool { return len(t.path) == 2 && namedSection(t.path[0]) }

func namedSection(name string) bool {
	return slices.ContainsFunc(sections(), func(s section) bool { return s.named && s.name == name })
}

// decode turns the trees into things.
func (l *loader) decode() {
	trees := append([]*table{l.root}, l.again...)
	known := make(map[string]bool)
	for _, s := range sections() {
		known[s.name] = true
		for _, t := range trees {
			if v, ok := t.values[s.name]; ok {
				l.decodeSection(s, v)
			}
		}
	}
	for _, t := range trees {
		for _, name := range t.keys {
			if !known[name] {
				l.unknownTable(name, t.values[name])
			}
		}
	}
	l.warnTemplates()
}

func (l *loader) decodeSection(s section, v value) {
	t, ok := v.any.(*table)
	switch {
	case !ok:
		l.add(v.at, "%s: want a table, got %s", s.name, v.kind())
	case s.named:
		l.decodeNamed(s, t)
	default:
		l.decodeTable(s, "", t)
	}
}

func (l *loader) decodeNamed(s section, all *table) {
	for _, name := range all.keys {
		v := all.values[name]
		t, ok := v.any.(*table)
		if !ok {
			l.add(v.at, "%s in [%s]: want a table [%s.NAME], got %s", name, s.name, s.name, v.kind())
			continue
		}
		if err := checkName(s.name, name); err != nil {
			l.add(t.at, "%v", err)
			continue
		}
		if s.name == "host" && t.overridesOnly() {
			l.addAmendment(name, t)
			continue
		}
		l.decodeTable(s, name, t)
	}
}

// decodeTable turns t into a thing. Of a second table of the same name only the
// variables count, so that no macro misses them.
func (l *loader) decodeTable(s section, name string, t *table) {
	x := s.open(l, name, t.at)
	if x, ok := x.(heir); ok {
		x.from(t)
	}
	header := t.String()
	first, again := l.opened[header]
	if !again {
		l.opened[header] = x
		x.loaded(l, l.fillThing(t, x))
		return
	}
	k := x.keys(l)
	if vars, ok := first.keys(l)["vars"]; ok {
		k["vars"] = vars
	}
	l.fill(t, "", k)
}

// fillThing reads t into x. There may be very many hosts: they are read into the
// same one in turn, so that what reads each key is made once.
func (l *loader) fillThing(t *table, x thing) bool {
	h, ok := x.(*host)
	if !ok {
		return l.fill(t, "", x.keys(l))
	}
	if l.modelKeys == nil {
		l.modelKeys = l.model.keys(l)
	}
	l.model = *h
	ok = l.fill(t, "", l.modelKeys)
	*h = l.model
	return ok
}

// checkName refuses names that a key, a selector or a log could not hold.
func checkName(what, name string) error {
	switch {
	case name == "":
		return fmt.Errorf("the name of a %s is empty", what)
	case strings.ContainsAny(name, "!*?") || strings.HasPrefix(name, "@"):
		return fmt.Errorf("%s name %q holds \"!\", \"*\" or \"?\" or begins with \"@\", which mean something else where hosts are selected", what, name)
	}
	return alf.ValidateName(what+" name", name)
}
