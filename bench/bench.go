// Package bench measures Alf side by side with its peers, in one run, because
// machines differ and only ratios travel. It holds benchmarks only.
package bench
