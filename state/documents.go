package state

import (
	"context"
	"errors"
)

// Documents keeps what people make while Alf runs, such as objects made over the
// API, keys, and accepted host keys. Who changes a document says which revision of
// it he has seen, so that nobody undoes what he does not know of. Calls may
// overlap.
type Documents interface {
	// Document returns the document of that name, or ErrNoDocument.
	Document(ctx context.Context, name string) (Document, error)
	// PutDocument keeps data under name, which may be any text, and returns its
	// revision. It takes the place of the revision rev, where 0 says that there is
	// no such document; ErrConflict: that is not so, and nothing has changed. After
	// any other error the document may have been kept, or not.
	PutDocument(ctx context.Context, name string, data []byte, rev Revision) (Revision, error)
	// DeleteDocument drops a document that has the revision rev. Its errors are
	// those of PutDocument, or ErrNoDocument.
	DeleteDocument(ctx context.Context, name string, rev Revision) error
	// Documents returns all documents whose names begin with prefix, by name.
	Documents(ctx context.Context, prefix string) ([]Document, error)
}

// Revision numbers the versions of a document. A later one is higher, also when
// the document was dropped and made again. 0 is no document.
type Revision uint64

// Document is what is kept under a name.
type Document struct {
	Name     string
	Data     []byte
	Revision Revision
}

// The errors of Documents.
var (
	ErrNoDocument = errors.New("there is no such document")
	ErrConflict   = errors.New("the document is not what it was: somebody else has changed it")
)
