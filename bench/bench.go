// Package bench measures Alf side by side with its peers, in one run, because
// machines differ and only ratios travel. It holds benchmarks only. The section
// "Figures" of docs/architecture.md says how to read what they print.
package bench
