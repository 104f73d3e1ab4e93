// Package perfdata takes apart what a Nagios plugin wrote: its text, its long
// output and its performance data. It is pure: no clock, no disk, no network.
//
// [Split] divides the output, [Parse] reads the performance data in it, and
// [Datum.Base] scales one datum to base units for those who store it.
//
// What a plugin writes comes from another machine and is seldom quite right.
// So nothing here is all or nothing: what can be read is kept, each piece that
// cannot be read gives one [PieceError], time is linear in the input, and the
// number of data, the number of errors and the length of a label are bounded.
//
// Strings are passed on as they came. Whoever shows one to a person or writes
// it into a protocol escapes it for that place.
package perfdata

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Bounds on what one call of [Append] keeps.
const (
	MaxData   = 10_000 // data; what follows is dropped, with one error
	MaxErrors = 20     // errors listed; the others are only counted
	MaxLabel  = 1024   // bytes in a label, a check_multi prefix included
	MaxUOM    = 64     // bytes in a unit of measurement
)

// Datum is one item of performance data as the plugin wrote it:
//
//	'label'=value[UOM];[warn];[crit];[min];[max]
//
// All its numbers are in the unit UOM (RULES G6). Two data are the same if ==
// says so.
type Datum struct {
	Label string // without quotes; never blank
	Value Number // not set: U, the plugin could not tell. No sample, never 0.
	UOM   string // the unit as the plugin wrote it; may be empty or unknown
	Warn  Range  // not set: none given, or one that could not be read
	Crit  Range
	Min   Number
	Max   Number
}

// Parse reads the performance data in s. See [Append].
func Parse(s string) ([]Datum, error) {
	return Append(nil, s)
}

// Append reads the performance data in s, appends it to dst and returns the
// extended slice. Labels and units are substrings of s and keep it alive; only
// a label with a doubled quote or a carried prefix is a new string.
//
// Data come in the order of s, and labels that occur twice are kept twice. An
// error does not mean that there are no data: it joins ([errors.Join]) one
// *[PieceError] for each piece that could not be read, at most [MaxErrors] of
// them, then one that counts the others.
//
// Where the peers differ, Append does this (RULES G1 to G8):
//
//   - A quoted label may hold spaces, '=' and doubled quotes, each of which is
//     one quote. Icinga leaves them doubled; Sensu splits at the quoted space.
//   - A label with spaces but no quotes is kept whole, as Icinga and Telegraf
//     do, and reported, because it may as well be a stray word and a label.
//   - Spaces around '=' are skipped if a number follows.
//   - A comma that no digit follows ends an item, and so does a further '|',
//     for which Telegraf rejects the whole result. A ';' after the fifth field
//     ends one if a label and its '=' follow (check_haproxy_stats). Icinga takes
//     the first of such items and drops the others.
//   - A decimal comma is read if it is the only comma in its number and there
//     is no point: 1,5 is 1.5, and 1,234,567 and 1,234.5 are refused. Icinga
//     refuses all of them.
//   - A value that is infinite, not a number or missing costs its item. U is
//     kept as a datum without a value.
//   - A bad threshold, minimum or maximum costs only itself. A threshold may
//     repeat the unit of the value. Icinga drops every range that is not a
//     plain number.
//   - A label with "::" hands what stands before its last "::" on to the labels
//     after it that have none (check_multi), as in Icinga.
func Append(dst []Datum, s string) ([]Datum, error) {
	if len(dst) == cap(dst) {
		dst = slices.Grow(dst, min(strings.Count(s, "="), 64))
	}
	r := reader{text: s}
	full := len(dst) + MaxData
	for p, ok := next(s, 0); ok; p, ok = r.after(p) {
		if len(dst) == full {
			r.errs = append(r.errs, newPieceError(p.start, s[p.start:], "too many items, the rest is dropped"))
			break
		}
		dst = append(dst, Datum{})
		if last := len(dst) - 1; !r.read(p, &dst[last]) {
			dst = dst[:last]
		}
	}
	return dst, r.err()
}

// String prints d so that Parse reads it as d again, for every d that Parse has
// returned. Ranges and numbers come out in their shortest form.
//
// Strings joined by a space are read back as the same data unless a label with
// "::" comes before one without (see [Append]).
func (d Datum) String() string {
	b := make([]byte, 0, 128)
	b = appendLabel(b, d.Label)
	b = append(b, '=')
	if d.Value.Set {
		b = appendFloat(b, d.Value.V)
	} else {
		b = append(b, 'U')
	}
	b = append(b, d.UOM...)
	b = d.Warn.append(append(b, ';'))
	b = d.Crit.append(append(b, ';'))
	b = d.Min.append(append(b, ';'))
	b = d.Max.append(append(b, ';'))
	return string(bytes.TrimRight(b, ";"))
}

// appendLabel appends label, quoted if it could be misread without quotes.
func appendLabel(b []byte, label string) []byte {
	plain := label != ""
	for i := range len(label) {
		plain = plain && class[label[i]] == 0
	}
	if plain {
		return append(b, label...)
	}
	b = append(b, '\'')
	for i := range len(label) {
		if label[i] == '\'' {
			b = append(b, '\'')
		}
		b = append(b, label[i])
	}
	return append(b, '\'')
}

// reader holds what one call of Append carries from piece to piece.
type reader struct {
	text   string
	prefix string // of check_multi, with its "::", for labels that have none
	glued  int    // where in the piece just read another item begins; 0: nowhere
	errs   []error
	more   int // errors beyond those in errs
}

// read sets d, which is empty, to what p says, reports what is wrong with it and
// says whether it can be kept.
func (r *reader) read(p piece, d *Datum) bool {
	reason := p.reason
	if reason == "" {
		d.Label, reason = r.label(p)
	}
	end := p.value
	if reason == "" {
		end += fieldLen(r.text[p.value:p.end])
		d.Value, d.UOM, reason = parseValue(r.text[p.value:end])
	}
	if reason != "" {
		r.fail(p.start, r.fields(p), reason)
		return false
	}
	if p.spaced {
		r.fail(p.start, p.end, "label with spaces is not in quotes")
	}
	if end < p.end {
		r.limits(d, end+1, p.end)
	}
	return true
}

// after finds the piece after p.
func (r *reader) after(p piece) (piece, bool) {
	if r.glued == 0 {
		return next(r.text, p.end)
	}
	i := r.glued
	r.glued = 0
	eq := i + strings.IndexByte(r.text[i:p.end], '=')
	return piece{start: i, value: eq + 1, end: p.end, label: r.text[i:eq]}, true
}

// glue sets glued if text[pos:end], which follows the fifth field of an item,
// begins with another item.
func (r *reader) glue(pos, end int) {
	for pos < end && r.text[pos] == ';' {
		pos++
	}
	i := pos
	for i < end && class[r.text[i]] == 0 {
		i++
	}
	if pos < i && i < end && r.text[i] == '=' {
		r.glued = pos
	}
}

// fields is the end of the five fields of p, which is bad, and sets glued if
// another item follows them.
func (r *reader) fields(p piece) int {
	if p.reason != "" {
		return p.end
	}
	pos := p.value
	for range 1 + len(limitNames) {
		pos += fieldLen(r.text[pos:p.end])
		if pos == p.end {
			return pos
		}
		pos++
	}
	if r.glue(pos, p.end); r.glued == 0 {
		return p.end
	}
	return pos - 1
}

// label is the label of p with its quotes undoubled and the carried prefix set
// before it.
func (r *reader) label(p piece) (label, reason string) {
	label = p.label
	if p.doubled {
		label = strings.ReplaceAll(label, "''", "'")
	}
	if isBlank(label) {
		return "", "no label"
	}
	multi := strings.Contains(label, "::")
	if multi {
		r.prefix = ""
	}
	if len(r.prefix)+len(label) > MaxLabel {
		return "", "label is too long"
	}
	label = r.prefix + label
	if multi {
		if i := strings.LastIndex(label, "::"); i > 0 {
			r.prefix = label[:i+len("::")]
		}
	}
	return label, ""
}

// limitNames are the fields after the value.
var limitNames = [...]string{"warn", "crit", "min", "max"}

// limits reads the fields after the value, which are at text[pos:end].
func (r *reader) limits(d *Datum, pos, end int) {
	for i := 0; pos <= end; i++ {
		if i == len(limitNames) {
			if r.glue(pos, end); r.glued == 0 && strings.Trim(r.text[pos:end], ";") != "" {
				r.fail(pos, end, "more than five fields")
			}
			return
		}
		n, ok := d.plainLimit(i, r.text[pos:end])
		if !ok {
			n = fieldLen(r.text[pos:end])
			if reason := d.limit(i, r.text[pos:pos+n]); reason != "" {
				r.fail(pos, pos+n, fmt.Sprintf("%s of %q: %s", limitNames[i], clip(d.Label), reason))
			}
		}
		pos += n + 1
	}
}

// plainLimit sets the i-th field after the value if s begins with one that is a
// number and no more, as most are, and says how long it is.
func (d *Datum) plainLimit(i int, s string) (size int, ok bool) {
	v, size := scan(s)
	if size == 0 || size < len(s) && s[size] != ';' || math.Abs(v) > math.MaxFloat64 || i < 2 && v < 0 {
		return 0, false
	}
	switch i {
	case 0:
		d.Warn = Range{End: v, Set: true}
	case 1:
		d.Crit = Range{End: v, Set: true}
	case 2:
		d.Min = Number{v, true}
	case 3:
		d.Max = Number{v, true}
	}
	return size, true
}

// limit sets the i-th field after the value.
func (d *Datum) limit(i int, field string) (reason string) {
	if field == "" || field == "U" {
		return ""
	}
	switch i {
	case 0:
		d.Warn, reason = parseRange(field, d.UOM)
	case 1:
		d.Crit, reason = parseRange(field, d.UOM)
	case 2:
		d.Min, reason = parseNumber(field, d.UOM)
	case 3:
		d.Max, reason = parseNumber(field, d.UOM)
	}
	return reason
}

// fieldLen is the length of the field that s begins with. For the short fields
// that there are it beats strings.IndexByte.
func fieldLen(s string) int {
	for i := range len(s) {
		if s[i] == ';' {
			return i
		}
	}
	return len(s)
}

// fail reports that the piece at text[start:end] is bad.
func (r *reader) fail(start, end int, reason string) {
	if len(r.errs) == MaxErrors {
		r.more++
		return
	}
	r.errs = append(r.errs, newPieceError(start, r.text[start:end], reason))
}

// err joins what fail was told.
func (r *reader) err() error {
	if r.more > 0 {
		r.errs = append(r.errs, fmt.Errorf("and %d more", r.more))
	}
	return errors.Join(r.errs...)
}
