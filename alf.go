// Package alf is the vocabulary of Alf: hosts, checks, services, results,
// states and events, and the small interfaces through which the rooms meet.
//
// It holds words and nothing that acts: no I/O, no goroutine, no clock. Every
// other package may import it; it imports only perfdata. The words are those
// of Nagios wherever Nagios has one.
package alf
