package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"alf"
)

// A thing is what a table defines.
type thing interface {
	// keys says how each key of the table is read into the thing.
	keys(l *loader) keys
	// loaded is called when all keys are read; ok: without a mistake.
	loaded(l *loader, ok bool)
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
		{"daemon", false, func(l *loader, _ string, _ alf.Position) thing { return &l.daemon }},
		{"journal", false, func(l *loader, _ string, at alf.Position) thing { l.journalAt = at; return &l.journal }},
		{"web", false, func(l *loader, _ string, _ alf.Position) thing { return &l.web }},
		{"ssh", false, func(l *loader, _ string, _ alf.Position) thing { return &l.ssh }},
		{"defaults", false, func(l *loader, _ string, _ alf.Position) thing { return &l.defaults }},
		{"hostgroup", true, newHostgroup},
		{"host", true, newHost},
		{"check", true, newCheck},
	}
}

// read reads all files into one tree and reports whether it is whole.
func (l *loader) read(file string) bool {
	files, err := find(file)
	if err != nil {
		l.addFileError(file, err)
	}
	whole := err == nil
	for _, file := range files {
		t := l.readFile(file)
		if t == nil {
			whole = false
			continue
		}
		l.files = append(l.files, file)
		l.merge(l.root, t)
	}
	return whole
}

// find returns file and the files of conf.d beside it, by path. Names that
// begin with a dot are left out, as editors and Kubernetes expect.
func find(file string) ([]string, error) {
	files := []string{file}
	root := filepath.Join(filepath.Dir(file), "conf.d")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil && path == root && errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case path != root && strings.HasPrefix(d.Name(), "."):
			return skip(d)
		case d.IsDir():
			return checkFolder(path)
		case filepath.Ext(path) == ".toml":
			files = append(files, path)
		case d.Type()&fs.ModeSymlink != 0:
			return checkLink(path)
		}
		return nil
	})
	slices.Sort(files[1:])
	return files, err
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

func (l *loader) readFile(file string) *table {
	src, err := readOwn(file, maxConfigFile, notWritable)
	if err != nil {
		l.addFileError(file, err)
		return nil
	}
	return parse(file, string(src), &l.mistakes)
}

// addFileError adds an error that belongs to no line.
func (l *loader) addFileError(file string, err error) {
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
		default:
			l.add(v.at, "%s in %v is already set in %s", key, file, where(old.at))
		}
	}
}

// named reports whether t is a named table, which one file has for itself.
func (t *table) named() bool {
	return len(t.path) == 2 && slices.ContainsFunc(sections(), func(s section) bool { return s.named && s.name == t.path[0] })
}

// decode turns the tree into things.
func (l *loader) decode() {
	known := make(map[string]bool)
	for _, s := range sections() {
		known[s.name] = true
		if v, ok := l.root.values[s.name]; ok {
			l.decodeSection(s, v)
		}
	}
	for _, name := range l.root.keys {
		if !known[name] {
			l.unknownTable(name, l.root.values[name])
		}
	}
}

func (l *loader) decodeSection(s section, v value) {
	t, ok := v.any.(*table)
	switch {
	case !ok:
		l.add(v.at, "%s: want a table, got %s", s.name, v.kind())
	case s.named:
		l.decodeNamed(s, t)
	default:
		l.decodeTable(s.open(l, "", t.at), t)
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
		l.decodeTable(s.open(l, name, t.at), t)
	}
}

func (l *loader) decodeTable(x thing, t *table) {
	x.loaded(l, l.fill(t, "", x.keys(l)))
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
