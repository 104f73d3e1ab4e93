package memory

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"alf/state"
)

// Document implements state.Documents.
func (r *Record) Document(_ context.Context, name string) (state.Document, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d, ok := r.documents[name]
	if !ok {
		return d, fmt.Errorf("document %q: %w", name, state.ErrNoDocument)
	}
	d.Data = slices.Clone(d.Data)
	return d, nil
}

// PutDocument implements state.Documents.
func (r *Record) PutDocument(_ context.Context, name string, data []byte, rev state.Revision) (state.Revision, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.documents[name].Revision != rev {
		return 0, fmt.Errorf("document %q: %w", name, state.ErrConflict)
	}
	r.revision++
	r.documents[name] = state.Document{Name: name, Data: slices.Clone(data), Revision: r.revision}
	return r.revision, nil
}

// DeleteDocument implements state.Documents.
func (r *Record) DeleteDocument(_ context.Context, name string, rev state.Revision) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch d, ok := r.documents[name]; {
	case !ok:
		return fmt.Errorf("document %q: %w", name, state.ErrNoDocument)
	case d.Revision != rev:
		return fmt.Errorf("document %q: %w", name, state.ErrConflict)
	}
	delete(r.documents, name)
	return nil
}

// Documents implements state.Documents.
func (r *Record) Documents(_ context.Context, prefix string) ([]state.Document, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []state.Document
	for name, d := range r.documents {
		if strings.HasPrefix(name, prefix) {
			d.Data = slices.Clone(d.Data)
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b state.Document) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}
