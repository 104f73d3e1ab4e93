// Command nagios records what a real Nagios Core believes and tells, as vectors
// that state is tested against:
//
//	make vectors                                    records all anew into state/testdata/nagios
//	cd tools && go run ./nagios -only 'soft|host'   records some
//
// It needs the Debian package nagios4-core, listens on no port and changes
// nothing outside a temporary directory. The scenarios run at the same time, so
// all of them take as long as the longest. Each has a second 0 of its own clock,
// which is 12:00:30 to Nagios; scenario.go says how they are written, vector.go
// what comes of them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"syscall"
)

func main() {
	out := flag.String("out", "../state/testdata/nagios", "the `directory` to write the vectors to")
	only := flag.String("only", "", "record only scenarios whose name matches the `regexp`")
	program := flag.String("nagios", "nagios4", "the Nagios Core `program`")
	keep := flag.Bool("keep", false, "keep the directories Nagios ran in, and say where")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := record(ctx, *program, *out, *only, *keep); err != nil {
		fmt.Fprintln(os.Stderr, "nagios:", err)
		os.Exit(1)
	}
}

func record(ctx context.Context, program, out, only string, keep bool) error {
	path, err := lookup(program)
	if err != nil {
		return fmt.Errorf("%w (apt-get install nagios4-core)", err)
	}
	match, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	all, err := scenarios()
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(s *scenario) bool { return !match.MatchString(s.Name) })
	var failed []error
	for range rounds {
		if all, failed, err = round(ctx, all, options{path, out, keep}); err != nil || all == nil {
			return err
		}
	}
	return errors.Join(failed...)
}

// rounds is how often a scenario is recorded before it counts as failed.
const rounds = 4

type options struct {
	program, out string
	keep         bool
}

// round records scenarios. It returns those that must be recorded again, because
// the machine was too busy for their seconds, and why.
func round(ctx context.Context, all []*scenario, o options) (again []*scenario, why []error, err error) {
	cores := group(all)
	var wg sync.WaitGroup
	errs := make([]error, len(cores))
	for i, c := range cores {
		c.program, c.keep = o.program, o.keep
		wg.Go(func() { errs[i] = c.record(ctx) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, nil, err
	}
	for _, c := range cores {
		for _, r := range c.runs {
			if err := r.check(); err != nil {
				again, why = append(again, r.scenario), append(why, fmt.Errorf("scenario %s: %w", r.Name, err))
				continue
			}
			if err := write(filepath.Join(o.out, r.Name+".json"), r.vector(c.main)); err != nil {
				return nil, nil, err
			}
		}
	}
	return again, why, nil
}

// lookup finds program in PATH or where Debian has it.
func lookup(program string) (string, error) {
	path, err := exec.LookPath(program)
	if err == nil {
		return path, nil
	}
	if sbin, err := exec.LookPath(filepath.Join("/usr/sbin", program)); err == nil {
		return sbin, nil
	}
	return "", err
}

// group puts scenarios with the same settings together, for one Nagios each.
func group(all []*scenario) []*core {
	var cores []*core
	byMain := map[string]*core{}
	for _, s := range all {
		main := s.main()
		id := fmt.Sprint(main)
		if byMain[id] == nil {
			byMain[id] = &core{main: main, sent: map[string]*run{}}
			cores = append(cores, byMain[id])
		}
		byMain[id].runs = append(byMain[id].runs, &run{scenario: s})
	}
	return cores
}
