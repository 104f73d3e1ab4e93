package alf

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestSecretTellsNothing(t *testing.T) {
	s := Secret("tiger")
	type holder struct{ Password Secret }
	for _, verb := range []string{"%s", "%v", "%+v", "%#v", "%q", "%x", "%X", "%d", "%t"} {
		for _, v := range []any{s, &s, holder{s}, &holder{s}, []Secret{s}, map[string]Secret{"a": s}} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, "tiger") || strings.Contains(got, fmt.Sprintf("%x", "tiger")) {
				t.Errorf("Sprintf(%q, %T) = %q", verb, v, got)
			}
		}
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "a", s, "b", holder{s})
	body, err := json.Marshal(holder{s})
	if err != nil || strings.Contains(string(body)+log.String(), "tiger") {
		t.Errorf("%s %s %v", body, log.String(), err)
	}
	if string(s) != "tiger" || Secret("").String() != "" {
		t.Error("the text is lost, or an empty secret looks like one")
	}
}
