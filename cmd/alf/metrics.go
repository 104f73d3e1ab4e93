package main

import (
	"context"
	"sync"
	"time"

	"alf/actions"
	"alf/nagios"
	"alf/sinks"
	"alf/sshmux"
	"alf/state/jetstream"
)

// measure adds to /metrics how the rooms are doing.
func (h *house) measure() {
	m := h.metrics
	m.Gauge("alf_checks_running", "Checks that run now.", func() float64 { return float64(h.checker.Stats().Running) })
	m.Gauge("alf_checks_waiting", "Checks that are due and wait for a place on their host.", func() float64 { return float64(h.checker.Stats().Waiting) })
	m.Gauge("alf_checks_scheduled", "Services and hosts that are checked by themselves.", func() float64 { return float64(h.checker.Stats().Scheduled) })
	m.Counter("alf_checks_started_total", "Checks that were started.", func() float64 { return float64(h.checker.Stats().Started) })
	m.Counter("alf_checks_held_total", "Checks that were not run because of a dependency.", func() float64 { return float64(h.checker.Stats().Held) })
	m.Counter("alf_checks_missed_total", "Slots that passed while the check still ran or waited, of schedules also while Alf did not run.", func() float64 { return float64(h.checker.Stats().Missed) })
	m.Gauge("alf_journal_queue", "Results that wait for the record.", func() float64 { return float64(h.checker.Stats().Queued) })
	m.Counter("alf_journal_failures_total", "Times that the record refused results.", func() float64 { return float64(h.checker.Stats().Refused) })
	m.Gauge("alf_journal_last_id", "ID of the newest event.", func() float64 { return float64(h.view.Last()) })
	m.Gauge("alf_config_hosts", "Hosts in the configuration.", func() float64 { return float64(h.config.Load().Counts.Hosts) })
	m.Gauge("alf_config_services", "Services in the configuration, without the hosts' own checks.", func() float64 {
		return float64(h.config.Load().Counts.Services)
	})
	m.Gauge("alf_config_last_reload_successful", "1 if the last reload was good, else 0.", h.loaded.good)
	m.Gauge("alf_config_last_reload_success_timestamp_seconds", "When the configuration was last read without an error.", h.loaded.when)
	m.Counter("alf_config_reload_failures_total", "Reloads that were refused.", h.loaded.failed)
	h.measureSources()
	h.measureActions()
	h.measureLag()
	h.measureLinks()
	h.measureRuns()
}

// measureJournal adds how the engine is doing.
func (h *house) measureJournal(record *jetstream.Record) {
	m, stats := h.metrics, record.Stats
	m.Counter("alf_journal_appends_total", "Batches that were made durable.", func() float64 { return float64(stats().Appends) })
	m.Counter("alf_journal_events_total", "Events in them.", func() float64 { return float64(stats().Events) })
	m.Counter("alf_journal_bytes_total", "Bytes of them.", func() float64 { return float64(stats().Bytes) })
	m.Counter("alf_journal_append_seconds_total", "Time that it took to make them durable.", func() float64 { return stats().AppendTime.Seconds() })
	m.Counter("alf_journal_shortened_total", "Events that were too large for the NATS server, and of which a part was dropped.", func() float64 { return float64(stats().Shortened) })
	m.Counter("alf_journal_syncs_total", "Times that Alf waited until the disk had what was written; with sync = \"always\" only.", func() float64 { return float64(stats().Syncs) })
	m.Counter("alf_journal_sync_seconds_total", "Time that these waits took.", func() float64 { return stats().SyncTime.Seconds() })
	m.Counter("alf_journal_restarts_total", "Times that the embedded server was started anew after a failure.", func() float64 { return float64(stats().Restarts) })
	m.Gauge("alf_journal_broken", "1 while the embedded server cannot write, else 0.", func() float64 {
		if stats().Broken {
			return 1
		}
		return 0
	})
	m.Gauge("alf_journal_behind", "Events that are not in the histories yet.", func() float64 { return float64(stats().Behind) })
	m.Counter("alf_journal_index_errors_total", "Times that the histories could not be written.", func() float64 { return float64(stats().IndexErrors) })
	streams := func(f func(jetstream.StreamInfo) float64) func() map[string]float64 {
		return func() map[string]float64 { return streamSizes(record, f) }
	}
	m.GaugeBy("alf_journal_stream_bytes", "Bytes in a stream of the record.", "stream", streams(func(s jetstream.StreamInfo) float64 { return float64(s.Bytes) }))
	m.GaugeBy("alf_journal_stream_max_bytes", "Bytes that a stream may hold, if that is bounded.", "stream", streams(func(s jetstream.StreamInfo) float64 { return float64(s.MaxBytes) }))
	m.GaugeBy("alf_journal_stream_messages", "Messages in a stream of the record: batches in ALF_FEED, entries in ALF_LOG.", "stream", streams(func(s jetstream.StreamInfo) float64 { return float64(s.Messages) }))
	m.GaugeBy("alf_journal_stream_lost_bytes", "Bytes of the feed or the log that the engine found damaged when it started.", "stream", streams(func(s jetstream.StreamInfo) float64 { return float64(s.LostBytes) }))
}

// streamSizes returns what f says of each stream; nothing when the engine does
// not answer at once.
func streamSizes(record *jetstream.Record, f func(jetstream.StreamInfo) float64) map[string]float64 {
	out := make(map[string]float64)
	if record.Stats().Broken {
		return out
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	streams, _ := record.Streams(ctx)
	for _, s := range streams {
		out[s.Name] = f(s)
	}
	return out
}

// measureCommandFile adds what comes through the command file.
func (h *house) measureCommandFile(stats func() nagios.Stats) {
	h.metrics.Counter("alf_command_file_lines_total", "Lines that were written into the command file.", func() float64 { return float64(stats().Lines) })
	h.metrics.CounterBy("alf_command_file_refused_total", "Lines that were not carried out, by reason.", "reason", func() map[string]float64 {
		return floats(stats().Refused)
	})
}

// measureActions adds how the actions are doing.
func (h *house) measureActions() {
	by := func(f func(actions.Stats) float64) func() map[string]float64 {
		return func() map[string]float64 {
			out := make(map[string]float64)
			for name, s := range h.actions.Stats() {
				out[name] = f(s)
			}
			return out
		}
	}
	m := h.metrics
	m.CounterBy("alf_notifications_total", "Notifications of which somebody was to be told, by type.", "type", func() map[string]float64 { return floats(h.actions.Told()) })
	m.CounterBy("alf_action_delivered_total", "Notifications that the target of an action took.", "action", by(func(s actions.Stats) float64 { return float64(s.Delivered) }))
	m.CounterBy("alf_action_retries_total", "Attempts to deliver that failed and are made again.", "action", by(func(s actions.Stats) float64 { return float64(s.Retried) }))
	m.CounterBy("alf_action_failed_total", "Notifications that were given up.", "action", by(func(s actions.Stats) float64 { return float64(s.Failed) }))
	m.CounterBy("alf_action_superseded_total", "Notifications that waited until a newer one took their place.", "action", by(func(s actions.Stats) float64 { return float64(s.Skipped) }))
	m.CounterBy("alf_action_refreshes_total", "Rounds in which the target heard again of all problems that last.", "action", by(func(s actions.Stats) float64 { return float64(s.Refreshed) }))
	m.CounterBy("alf_action_refreshes_failed_total", "Rounds in which it did not, or not all of it.", "action", by(func(s actions.Stats) float64 { return float64(s.Stale) }))
	m.GaugeBy("alf_action_waiting", "Notifications that are still to be delivered.", "action", by(func(s actions.Stats) float64 { return float64(s.Waiting) }))
	m.GaugeBy("alf_action_oldest_timestamp_seconds", "When what waits longest was decided; 0: nothing waits.", "action", by(func(s actions.Stats) float64 { return sinks.Timestamp(s.Oldest) }))
}

func (h *house) measureLag() {
	h.metrics.GaugeBy("alf_sink_lag", "Events that wait for a sink.", "sink", func() map[string]float64 {
		return h.places(func(lag, _ uint64) float64 { return float64(lag) })
	})
	h.metrics.CounterBy("alf_sink_dropped_total", "Events that the record let go before a sink took them.", "sink", func() map[string]float64 {
		return h.places(func(_, dropped uint64) float64 { return float64(dropped) })
	})
}

func (h *house) places(f func(lag, dropped uint64) float64) map[string]float64 {
	out := make(map[string]float64)
	places, _ := h.record.Places(context.Background())
	for _, p := range places {
		out[p.Name] = f(p.Lag, p.Dropped)
	}
	return out
}

func (h *house) measureLinks() {
	m, links := h.metrics, briefly(h.runner.Totals)
	counter := func(name, help string, f func(sshmux.Totals) uint64) {
		m.Counter(name, help, func() float64 { return float64(f(links())) })
	}
	counter("alf_ssh_dials_total", "Attempts to connect to hosts.", func(t sshmux.Totals) uint64 { return t.Dials })
	counter("alf_ssh_links_lost_total", "Connections that ended against Alf's will.", func(t sshmux.Totals) uint64 { return t.Lost })
	counter("alf_ssh_links_idle_total", "Connections that were closed because nothing used them for idle_timeout.", func(t sshmux.Totals) uint64 { return t.Idle })
	counter("alf_ssh_commands_total", "Commands that were sent to hosts.", func(t sshmux.Totals) uint64 { return t.Commands })
	counter("alf_ssh_prefetched_total", "Sessions that were asked for ahead (prefetch) and then used.", func(t sshmux.Totals) uint64 { return t.Prefetch })
	counter("alf_ssh_sessions_refused_total", "Sessions that hosts refused to open, each of which was asked for again.", func(t sshmux.Totals) uint64 { return t.Refused })
	counter("alf_ssh_orphans_total", "Commands of which processes may live on.", func(t sshmux.Totals) uint64 { return t.Orphans })
	m.CounterBy("alf_ssh_bytes_total", "Bytes on the wire, as encrypted.", "direction", func() map[string]float64 {
		t := links()
		return map[string]float64{"in": float64(t.BytesIn), "out": float64(t.BytesOut)}
	})
	m.CounterBy("alf_ssh_dial_failures_total", "Attempts to connect that failed, by the phase in which they did.", "phase", func() map[string]float64 {
		return floats(links().Failures)
	})
	m.GaugeBy("alf_ssh_links", "Shared connections, by state.", "state", func() map[string]float64 { return floats(links().States) })
	m.Gauge("alf_ssh_dials_waiting", "Dials that wait for their turn.", func() float64 { return float64(links().Turns) })
	m.GaugeBy("alf_ssh_sessions", "Sessions on all connections: used by commands, held by hosts for commands that have ended, ahead of commands to come; and queued commands, which wait for one.", "state", func() map[string]float64 {
		t := links()
		return map[string]float64{"used": float64(t.InUse - t.Held), "held": float64(t.Held), "ahead": float64(t.Ahead), "queued": float64(t.Queued)}
	})
	m.Gauge("alf_ssh_sessions_limit", "Commands that may run at a time on the connections that are up.", func() float64 { return float64(links().Limit) })
	m.Histogram("alf_ssh_round_trip_seconds", "Round trips on all connections: of keepalives and of requests for sessions.", func() sinks.Distribution {
		t := links().RoundTrips
		d := sinks.Distribution{Count: t.Count, Sum: t.Sum.Seconds(), AtMost: make(map[float64]uint64, len(t.AtMost))}
		for bound, n := range t.AtMost {
			d.AtMost[bound.Seconds()] = n
		}
		return d
	})
}

// briefly keeps what f returns for as long as a scrape takes: so its series are of the same
// moment, and f is not called for each of them.
func briefly[T any](f func() T) func() T {
	const long = 100 * time.Millisecond
	var mu sync.Mutex
	var last T
	var at time.Time
	return func() T {
		mu.Lock()
		defer mu.Unlock()
		if at.IsZero() || time.Since(at) > long {
			last, at = f(), time.Now()
		}
		return last
	}
}

// measureRuns adds what people run.
func (h *house) measureRuns() {
	m := h.metrics
	m.Counter("alf_runs_total", "Runs of a command on hosts that people have begun.", func() float64 { return float64(h.api.RunStats().Runs) })
	m.Gauge("alf_runs", "Runs that are under way.", func() float64 { return float64(h.api.RunStats().Under) })
	m.Gauge("alf_run_commands", "Commands of runs that run now.", func() float64 { return float64(h.api.RunStats().Commands) })
	m.CounterBy("alf_run_hosts_total", "Hosts that are through with a run, by result.", "result", func() map[string]float64 {
		return floats(h.api.RunStats().Hosts)
	})
	m.Counter("alf_run_dropped_bytes_total", "Bytes of output that were dropped because nobody read them in time.", func() float64 { return float64(h.api.RunStats().Dropped) })
}

func floats[K ~string, V int | uint64](counts map[K]V) map[string]float64 {
	out := make(map[string]float64, len(counts))
	for k, n := range counts {
		out[string(k)] = float64(n)
	}
	return out
}

func (r *reloads) good() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		return 1
	}
	return 0
}

func (r *reloads) when() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return sinks.Timestamp(r.lastOK)
}

func (r *reloads) failed() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failures
}
