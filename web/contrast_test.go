package web_test

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"
)

// Text must be readable for those who see less contrast: WCAG 2, level AA asks
// for 4.5 to 1.
func TestContrast(t *testing.T) {
	css, err := os.ReadFile("static/alf.css")
	if err != nil {
		t.Fatal(err)
	}
	light, dark, found := strings.Cut(string(css), "@media (prefers-color-scheme: dark)")
	if !found {
		t.Fatal("the style sheet has no dark scheme")
	}
	for name, scheme := range map[string]string{"light": light, "dark": dark} {
		colours := map[string]string{}
		for _, m := range regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6});`).FindAllStringSubmatch(scheme, -1) {
			colours[m[1]] = m[2]
		}
		f := func(text, ground string) {
			t.Helper()
			if c := contrast(t, colours[text], colours[ground]); c < 4.5 {
				t.Errorf("%s: %s on %s has a contrast of %.1f, want 4.5", name, text, ground, c)
			}
		}
		for _, text := range []string{"text", "faint", "link"} {
			f(text, "ground")
			f(text, "band")
		}
		for _, state := range []string{"ok", "warning", "critical", "unknown", "pending", "stale"} {
			f(state, state+"-on")
		}
	}
}

func contrast(t *testing.T, a, b string) float64 {
	la, lb := luminance(t, a), luminance(t, b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	var r, g, b uint8
	if _, err := fmt.Sscanf(colour, "#%02x%02x%02x", &r, &g, &b); err != nil {
		t.Fatalf("colour %q: %v", colour, err)
	}
	linear := func(c uint8) float64 {
		v := float64(c) / 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(r) + 0.7152*linear(g) + 0.0722*linear(b)
}
