package jetstream_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"alf/state/jetstream"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.file, _ = a.sign(template)
	return a
}

// sign writes a certificate and its key. The first one is the authority's own.
func (a *authority) sign(template *x509.Certificate) (cert, key string) {
	a.t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if a.cert == nil {
		a.cert, a.key = template, k
	}
	text, err := x509.CreateCertificate(rand.Reader, template, a.cert, &k.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	name := template.Subject.CommonName
	return a.write(name+".pem", "CERTIFICATE", text), a.write(name+".key", "PRIVATE KEY", secret)
}

func (a *authority) write(name, kind string, text []byte) string {
	a.t.Helper()
	file := filepath.Join(a.dir, name)
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: text}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return file
}

// client returns a certificate for Alf.
func (a *authority) client() (cert, key string) {
	return a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "alf"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

// nats starts a NATS server that wants TLS, known as 127.0.0.1 alone.
func (a *authority) nats(more string) *natsServer {
	a.t.Helper()
	cert, key := a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "nats"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	return natsWith(a.t, fmt.Sprintf("tls { cert_file: %q, key_file: %q, ca_file: %q, %s }", cert, key, a.file, more))
}

// works opens the record, appends to it and reads.
func works(t *testing.T, o jetstream.Options) {
	t.Helper()
	r, stop := open(t, o)
	defer stop()
	put(t, r, result(web, 1))
	settle(t, r)
	if got := fmt.Sprint(last(t, r, web)); got != "[1]" {
		t.Errorf("Last = %v, want [1]", got)
	}
	if got := len(follow(t, r, 0, "1")); got != 1 {
		t.Errorf("the feed has %d events, want 1", got)
	}
}

// fails opens the record and wants one line of an error with all of that in it.
func fails(t *testing.T, o jetstream.Options, want ...string) {
	t.Helper()
	r, err := jetstream.Open(t.Context(), o)
	if err == nil {
		r.Close()
		t.Fatalf("Open(%+v) = nil, want an error", o)
	}
	for _, want := range append(want, o.URL) {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("Open = %v, want %q in it", err, want)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("Open = %q, want one line", err)
	}
}

func TestTLS(t *testing.T) {
	ours, other := newAuthority(t), newAuthority(t)
	url := ours.nats("").url
	none := filepath.Join(t.TempDir(), "none.pem")
	_, noCert := ours.client()
	works(t, jetstream.Options{URL: url, CA: ours.file})
	plain := strings.Replace(url, "tls://", "nats://", 1)
	fails(t, jetstream.Options{URL: plain}, "certificate signed by unknown authority")
	fails(t, jetstream.Options{URL: plain, CA: other.file}, "certificate signed by unknown authority")
	fails(t, jetstream.Options{URL: strings.Replace(plain, "127.0.0.1", "localhost", 1), CA: ours.file}, "wanted to match localhost")
	fails(t, jetstream.Options{URL: plain, CA: none}, none, "no such file")
	fails(t, jetstream.Options{URL: plain, CA: noCert}, noCert)
	fails(t, jetstream.Options{URL: external(t), CA: ours.file}, "secure connection not available")
}

// TestTLSVerify has a server that asks for a certificate in turn.
func TestTLSVerify(t *testing.T) {
	ours, other := newAuthority(t), newAuthority(t)
	url := ours.nats("verify: true").url
	cert, key := ours.client()
	foreign, foreignKey := other.client()
	works(t, jetstream.Options{URL: url, CA: ours.file, Cert: cert, Key: key})
	fails(t, jetstream.Options{URL: url, CA: ours.file}, "the server wants a certificate of its user")
	fails(t, jetstream.Options{URL: url, CA: ours.file, Cert: foreign, Key: foreignKey}, "the server refuses the certificate in", foreign)
	fails(t, jetstream.Options{URL: url, CA: ours.file, Cert: cert, Key: foreignKey}, "private key does not match")
	fails(t, jetstream.Options{URL: url, CA: ours.file, Cert: cert, Key: key + "2"}, key+"2", "no such file")
}

// TestNobodyThere has a port on which nobody listens.
func TestNobodyThere(t *testing.T) {
	url := fmt.Sprint("nats://127.0.0.1:", freePorts(t, 1)[0])
	fails(t, jetstream.Options{URL: url}, "connection refused")
}
