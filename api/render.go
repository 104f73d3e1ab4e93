package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"alf/api/wire"
)

// format is a form that an answer can have.
type format struct {
	name    string
	media   string
	problem string // media type of a *wire.Error
}

// formats are all of them, the preferred ones first.
var formats = []format{
	{"json", "application/json", "application/problem+json"},
	{"xml", "application/xml", "application/problem+xml"},
	{"xml", "text/xml", "application/problem+xml"},
}

// negotiate returns the format that r asks for, by the parameter format or
// else by Accept.
func negotiate(r *http.Request) (format, error) {
	if name := r.URL.Query().Get("format"); name != "" {
		for _, f := range formats {
			if f.name == name {
				return f, nil
			}
		}
		return formats[0], wire.NewError(http.StatusBadRequest, "format %q is neither json nor xml", name)
	}
	accept := strings.Join(r.Header.Values("Accept"), ",")
	if accept == "" {
		return formats[0], nil
	}
	best, bestQuality := formats[0], 0.0
	for _, f := range formats {
		if q := quality(accept, f.media); q > bestQuality {
			best, bestQuality = f, q
		}
	}
	if bestQuality == 0 {
		return best, wire.NewError(http.StatusNotAcceptable, "answers are application/json or application/xml")
	}
	return best, nil
}

// quality returns how much an Accept header wants a media type, from 0 to 1.
// The most specific range that takes it in decides.
func quality(accept, media string) float64 {
	major, _, _ := strings.Cut(media, "/")
	rank := map[string]int{"*/*": 1, major + "/*": 2, media: 3}
	q, found := 0.0, 0
	for part := range strings.SplitSeq(accept, ",") {
		name, params, err := mime.ParseMediaType(part)
		if err != nil || rank[name] <= found {
			continue
		}
		q, found = 1, rank[name]
		if text, ok := params["q"]; ok {
			q, _ = strconv.ParseFloat(text, 64)
		}
	}
	return q
}

// render answers with v.
func render(w http.ResponseWriter, r *http.Request, v any) error {
	f, err := negotiate(r)
	if err != nil {
		return err
	}
	return f.write(w, http.StatusOK, f.media, v)
}

// answer answers with what read returns, a list or one of wire's structs.
func (f format) answer(w http.ResponseWriter, read func() (any, error)) error {
	v, err := read()
	if err != nil {
		return err
	}
	if l, ok := v.(list); ok {
		f.stream(w, l)
		return nil
	}
	return f.write(w, http.StatusOK, f.media, v)
}

// untagged is API.answer for what time alone may change.
func untagged(w http.ResponseWriter, r *http.Request, read func() (any, error)) error {
	w.Header().Add("Vary", "Accept")
	f, err := negotiate(r)
	if err != nil {
		return err
	}
	return f.answer(w, read)
}

// refuse answers with the problem e, in JSON if r asks for nothing that can be
// had.
func refuse(w http.ResponseWriter, r *http.Request, e *wire.Error) {
	f, _ := negotiate(r)
	w.Header().Del("ETag")
	w.Header().Add("Vary", "Accept")
	if err := f.write(w, e.Status, f.problem, e); err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
	}
}

// write answers with v in one piece, or returns an error before it has begun.
func (f format) write(w http.ResponseWriter, status int, media string, v any) error {
	var b bytes.Buffer
	if err := f.encode(&b, v); err != nil {
		return err
	}
	w.Header().Set("Content-Type", media)
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	w.Write(b.Bytes()) // an error here means that the caller has left
	return nil
}

func (f format) encode(w io.Writer, v any) error {
	if f.name == "json" {
		return json.NewEncoder(w).Encode(v)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	if err := xml.NewEncoder(w).Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// list is one of wire's lists that is written member by member, because it may
// be too long to hold.
type list struct {
	name    string // of the list, as wire has it in JSON and in XML
	page    wire.Page
	members iter.Seq[any]
}

// stream answers with l. Once it has begun, it can only break off.
func (f format) stream(w http.ResponseWriter, l list) {
	w.Header().Set("Content-Type", f.media)
	b := bufio.NewWriterSize(w, 64<<10)
	write := l.writeJSON
	if f.name == "xml" {
		write = l.writeXML
	}
	if write(b) != nil || b.Flush() != nil {
		panic(http.ErrAbortHandler) // so that nobody takes a part for the whole
	}
}

func (l list) writeJSON(w *bufio.Writer) error {
	fmt.Fprintf(w, `{"total":%d,"offset":%d,%q:[`, l.page.Total, l.page.Offset, l.name)
	e := json.NewEncoder(w)
	comma := ""
	for m := range l.members {
		w.WriteString(comma)
		if err := e.Encode(m); err != nil {
			return err
		}
		comma = ","
	}
	_, err := w.WriteString("]}\n")
	return err
}

func (l list) writeXML(w *bufio.Writer) error {
	attr := func(name string, n int) xml.Attr {
		return xml.Attr{Name: xml.Name{Local: name}, Value: strconv.Itoa(n)}
	}
	start := xml.StartElement{
		Name: xml.Name{Local: l.name},
		Attr: []xml.Attr{attr("total", l.page.Total), attr("offset", l.page.Offset)},
	}
	w.WriteString(xml.Header)
	e := xml.NewEncoder(w)
	if err := e.EncodeToken(start); err != nil {
		return err
	}
	for m := range l.members {
		if err := e.Encode(m); err != nil {
			return err
		}
	}
	if err := e.EncodeToken(start.End()); err != nil {
		return err
	}
	if err := e.Close(); err != nil {
		return err
	}
	return w.WriteByte('\n')
}
