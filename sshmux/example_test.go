package sshmux_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"alf/sshmux"
)

func Example() {
	m := sshmux.New(sshmux.Options{})
	defer m.Close()
	web1 := sshmux.Target{
		Name:          "web1",
		Addr:          "10.0.0.7:22",
		User:          "monitor",
		IdentityFiles: []string{"/etc/alf/keys/2026", "/etc/alf/keys/2025"},
		KnownHosts:    []string{"/etc/alf/known_hosts"},
	}
	var output bytes.Buffer
	exit, err := m.Run(context.Background(), web1, sshmux.Command{
		Argv:    []string{"check_disk", "-w", "20%", "-c", "10%", "-p", "/"},
		Path:    []string{"/usr/lib/nagios/plugins"},
		Stdout:  &output,
		Timeout: 10 * time.Second,
	})
	if e, ok := errors.AsType[*sshmux.Error](err); ok {
		fmt.Println("no answer:", e.Kind, e.Phase, e)
		return
	}
	fmt.Println(exit.Code, output.String())
}
