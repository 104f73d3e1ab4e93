package sshmux

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
)

// verbs are all letters, of which fmt knows some, each with the flags that change what it does.
func verbs() []string {
	var list []string
	for _, letters := range []string{"abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"} {
		for _, c := range letters {
			for _, flags := range []string{"", "+", "#", " ", "-", "0", "10", ".3", "# ", "+#"} {
				list = append(list, "%"+flags+string(c))
			}
		}
	}
	return list
}

// shows reports whether a verb prints a word, as it is or in hexadecimal.
func shows(verb, word string, v any) bool {
	said := strings.ToLower(fmt.Sprintf(verb, v))
	return slices.ContainsFunc([]string{word, fmt.Sprintf("%x", word), fmt.Sprintf("% x", word), fmt.Sprintf("%d", []byte(word))}, func(s string) bool {
		return strings.Contains(said, s)
	})
}

func TestNoVerbPrintsThePassword(t *testing.T) {
	const password = "hunter3-password"
	plain := Target{Name: "web1", Addr: "192.0.2.1:22", User: "monitor", Password: password}
	sealed := plain.Seal()
	type holder struct{ target Target }
	type pointer struct{ target *Target }
	kept := &link{target: plain.clone()}
	for _, v := range []any{
		sealed, &sealed, holder{sealed}, &holder{sealed}, pointer{&sealed}, []Target{sealed}, map[string]Target{"": sealed},
		&kept.target, holder{kept.target}, kept, &conn{target: &kept.target, link: kept}, &dialer{target: &kept.target},
	} {
		for _, verb := range verbs() {
			if shows(verb, password, v) {
				t.Errorf("%s of %T prints the password: %s", verb, v, fmt.Sprintf(verb, v))
			}
		}
	}
	// Of an open target, two verbs that do not fit print all there is, whatever its methods.
	for _, v := range []any{plain, &plain, []Target{plain}} {
		for _, verb := range verbs() {
			if !strings.HasSuffix(verb, "p") && !strings.HasSuffix(verb, "w") && shows(verb, password, v) {
				t.Errorf("%s of %T prints the password: %s", verb, v, fmt.Sprintf(verb, v))
			}
		}
	}
}

func TestSeal(t *testing.T) {
	plain := Target{Name: "web1", Addr: "192.0.2.1:22", User: "monitor", Password: "hunter3-password"}
	sealed := plain.Seal()
	if sealed.Password != "" || sealed.password() != plain.Password || sealed.Seal().password() != plain.Password {
		t.Error("a sealed target has lost its password, or shows it")
	}
	if sealed.Key() != plain.Key() {
		t.Errorf("Key() of a sealed target = %q, want %q", sealed.Key(), plain.Key())
	}
	for name, target := range map[string]Target{"open": plain, "sealed": sealed} {
		b, err := json.Marshal(target)
		if said := string(b) + slog.AnyValue(target).Resolve().String(); err != nil || strings.Contains(said, plain.Password) {
			t.Errorf("%s: JSON and log = %s, %v", name, said, err)
		}
	}
	sealed.Password = "other"
	if got := sealed.Seal().password(); got != "other" {
		t.Errorf("password() = %q, want the one that was set last", got)
	}
}
