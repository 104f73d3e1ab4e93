package checker_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"alf"
	"alf/checker"
)

// TestCompare: what another inventory would change, down to the setting.
func TestCompare(t *testing.T) {
	f := func(name, want string, change func(h *alf.Host, s *alf.Service)) {
		t.Helper()
		h := &alf.Host{Name: "web1", SSH: alf.SSH{Port: 22, Password: "tiger"}, Vars: map[string]alf.Value{"a": {Text: "1"}}}
		s := service(h, "disk")
		s.Argv = []alf.Template{alf.Text("check_disk"), {alf.Part{Text: "tiger", Secret: true}}}
		own := service(h, "")
		prev := inventory(own, s)
		h2, s2 := *h, *s
		h2.Vars = map[string]alf.Value{"a": {Text: "1"}}
		s2.Host, s2.On, s2.Argv = &h2, &h2, slices.Clone(s.Argv)
		own2 := *own
		own2.Host, own2.On = &h2, &h2
		change(&h2, &s2)
		d := checker.Compare(prev, inventory(&own2, &s2))
		var got []string
		for _, c := range d.Changed {
			got = append(got, fmt.Sprintf("%v %v", c.Key, c.Settings()))
		}
		if text := fmt.Sprint("+", d.Added, " -", d.Removed, " ", strings.Join(got, "; ")); text != want {
			t.Errorf("%s: %s\nwant %s", name, text, want)
		}
		if text := fmt.Sprint(got); strings.Contains(text, "tiger") {
			t.Errorf("%s: %s tells a secret", name, text)
		}
	}
	f("nothing", "+[] -[] ", func(*alf.Host, *alf.Service) {})
	f("another line of the file", "+[] -[] ", func(h *alf.Host, s *alf.Service) { h.Where.Line, s.Where.Line = 7, 8 })
	f("interval", "+[] -[] web1!disk [{check_interval 1m 1h}]", func(_ *alf.Host, s *alf.Service) { s.Interval = time.Hour })
	f("secret", "+[] -[] web1!disk [{command [\"check_disk\", \"<secret>\"] [\"check_disk\", \"<secret>\"]}]",
		func(_ *alf.Host, s *alf.Service) { s.Argv[1] = alf.Template{alf.Part{Text: "tiger2", Secret: true}} })
	f("place", "+[] -[] web1!disk [{run remote local}]", func(_ *alf.Host, s *alf.Service) { s.On = nil })
	f("host", "+[] -[] web1 [{ssh.password <secret> <secret>} {ssh.port 22 2222} {vars.b  2}]; web1!disk []", func(h *alf.Host, _ *alf.Service) {
		h.SSH.Port, h.SSH.Password, h.Vars["b"] = 2222, "tiger2", alf.Value{Text: "2"}
	})
	f("name", "+[web1!disks] -[web1!disk] ", func(_ *alf.Host, s *alf.Service) { s.Key.Service = "disks" })
}

// TestEverySettingHasAName: whatever field of a host or service differs, the
// difference names it, and no two fields are one setting by mistake.
func TestEverySettingHasAName(t *testing.T) {
	for _, zero := range []any{alf.Service{}, alf.Host{}} {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(zero)) {
			switch field.Name {
			case "Key", "Name", "Host", "Where", "On", "RenamedFrom":
				continue
			}
			h := &alf.Host{Name: "web1"}
			s := &alf.Service{Key: alf.Key{Host: "web1"}, Host: h, Where: alf.Position{Line: 1}}
			h2, s2 := *h, *s
			s2.Host = &h2
			of := reflect.ValueOf(&s2)
			if _, ok := zero.(alf.Host); ok {
				of = reflect.ValueOf(&h2)
			}
			alter(of.Elem().FieldByIndex(field.Index))
			d := checker.Compare(alf.NewInventory([]*alf.Host{h}, []*alf.Service{s}), alf.NewInventory([]*alf.Host{&h2}, []*alf.Service{&s2}))
			if len(d.Changed) != 1 || len(d.Changed[0].Settings()) == 0 {
				t.Errorf("%T.%s: another value shows no setting that differs: %v", zero, field.Name, d.Changed)
				continue
			}
			for _, set := range d.Changed[0].Settings() {
				if set.Name != strings.ToLower(set.Name) || set.Name == "" {
					t.Errorf("%T.%s is called %q", zero, field.Name, set.Name)
				}
			}
		}
	}
}

// TestEveryPolicyDiffers: no field of a policy is forgotten where two are compared.
func TestEveryPolicyDiffers(t *testing.T) {
	for _, field := range reflect.VisibleFields(reflect.TypeFor[alf.Policy]()) {
		with := func(p *alf.Policy) *alf.Inventory {
			h := &alf.Host{Name: "web1"}
			return alf.NewInventory([]*alf.Host{h}, []*alf.Service{{Key: alf.Key{Host: "web1"}, Host: h, Where: alf.Position{Line: 1}, Policy: p}})
		}
		other := new(alf.Policy)
		alter(reflect.ValueOf(other).Elem().FieldByIndex(field.Index))
		d := checker.Compare(with(new(alf.Policy)), with(other))
		if len(d.Changed) != 1 || len(d.Changed[0].Settings()) == 0 {
			t.Errorf("%s: another value makes no difference: %v", field.Name, d.Changed)
		}
		if d := checker.Compare(with(new(alf.Policy)), with(new(alf.Policy))); !d.Empty() {
			t.Errorf("the same makes a difference: %v", d.Changed)
		}
	}
}

// alter gives v another value than its zero.
func alter(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct, reflect.Array:
		if v.Kind() == reflect.Array {
			alter(v.Index(0))
			return
		}
		for i := range v.NumField() {
			alter(v.Field(i))
		}
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(3)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("x"), reflect.Zero(v.Type().Elem()))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		if v.Type() == reflect.TypeFor[*alf.Policy]() { // an empty one says what none does
			alter(v.Elem())
		}
	default:
		if v.CanInt() {
			v.SetInt(2)
		} else {
			v.SetUint(2)
		}
	}
}
