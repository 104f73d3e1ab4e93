package perfdata

import (
	"strings"
	"testing"
)

// checkDisk is the performance data of check_disk for 8 mounts.
var checkDisk = strings.Join([]string{
	"/=12764315648B;216442024755;243497277849;0;270552530944",
	"/boot=104857600B;409993216;461242368;0;512491520",
	"/home=69357142016B;212573814784;239145541632;0;265717268480",
	"/dev/shm=0B;20220739584;22748332032;0;25275924480",
	"/var=8818180096B;42949672960;48318382080;0;53687091200",
	"/var/log=858783744B;8350046617;9393802444;0;10437558272",
	"/srv/data=1912764315648B;3435973836800;3865470566400;0;4294967296000",
	"/tmp=1228800B;8589934592;9663676416;0;10737418240",
}, " ")

func BenchmarkAppend(b *testing.B) {
	f := func(name, s string) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(s)))
			b.ReportAllocs()
			var buf []Datum
			for b.Loop() {
				buf, _ = Append(buf[:0], s)
			}
		})
	}
	f("disk", checkDisk)
	f("disk x 100", strings.Repeat(checkDisk+" ", 100))
	f("ping", "rta=0.155000ms;100.000000;500.000000;0.000000 pl=0%;20;60;0;")
	f("ranges", "procs=73;-5:1e3;@0.5:2000.25;0; users=0;@0:3;~:10;0")
	f("quoted", "'C:\\ Used Space'=75.48GB;90.00;95.00;0.00;100.00 'it''s'=5%;80;90;;")
	f("multi", "root::check_disk::/=8286MB;11489;11852;0;12094 /usr=5MB swap::check_swap::swap=1786MB;0;0;0;2048")
	f("bad", strings.Repeat("a=x ", 1<<18))
	f("unclosed", strings.Repeat("'a=1 ", 1<<18))
	f("no item", strings.Repeat("x ", 1<<19))
}

func BenchmarkSplit(b *testing.B) {
	f := func(name, s string) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(s)))
			b.ReportAllocs()
			for b.Loop() {
				Split(s, 0)
			}
		})
	}
	f("disk", "DISK OK - free space: / 81089MiB (86% inode=97%);| "+checkDisk+"\n")
	f("long", "OK\n"+strings.Repeat("line\n", 1000)+"| "+strings.ReplaceAll(checkDisk, " ", "\n"))
	f("cut", "OK|"+strings.Repeat(checkDisk+" ", 2000))
	f("latin 1", "OK\n"+strings.Repeat("caf\xe9\n", 1000))
}

func BenchmarkBase(b *testing.B) {
	data, _ := Parse(checkDisk)
	b.ReportAllocs()
	for b.Loop() {
		for _, d := range data {
			sinkDatum = d.Base()
		}
	}
}

func BenchmarkString(b *testing.B) {
	data, _ := Parse(checkDisk)
	b.ReportAllocs()
	for b.Loop() {
		for _, d := range data {
			_ = d.String()
		}
	}
}

var sinkDatum Datum
