package config

import (
	"testing"

	"alf"
)

const onDemandMacros = `
[hostgroup.web]
[hostgroup.none]

[host.web1]
address    = "10.0.0.1"
hostgroups = ["web"]
notes_url  = "https://wiki/$HOSTALIAS:db$"
vars       = { disk = "sda", other = "$_HOSTDISK:web2$-$HOSTNAME$" }

[host.web2]
hostgroups    = ["web"]
vars          = { disk = "$_HOSTDISK:web1$b" }
check_command = ["x", "$SERVICESTATE::disk: /$"]

[host."fe80::1"]
alias = "six"

[host.db]
alias = "DB"

[check.all]
hosts   = ["web1"]
command = ["x", "$HOSTADDRESS:web1$", "$HOSTALIAS:fe80::1$", "$HOSTNAME:web:, $", "<$HOSTNAME:none:,$>", "$_HOSTDISK:web2$", "$other$",
           "$_HOSTDISK:web:/$", "$HOSTSTATE:db$", "$HOSTSTATE:fe80::1$", "$HOSTSTATE:web:; $", "$SERVICESTATE:web2:disk: /$", "$SERVICESTATE::disk: /$",
           "$HOSTNAME:", "$$HOSTSTATE:nobody$", "5$"]

[check."disk: /"]
hosts   = ["@web"]
command = "echo $HOSTSTATE:web:,$ '$SERVICESTATE::all$' $HOSTNAME:web:;$ $HOSTNAME:$PORT"
[host.web2.check."disk: /"]
command = "echo $SERVICESTATE:web1:all$"
`

func TestOnDemandMacros(t *testing.T) {
	c := load(t, onDemandMacros)
	all := service(t, c, "web1!all")
	equal(t, "argv", reveal(all.Argv), []string{
		"x", "10.0.0.1", "six", "web1, web2", "<>", "sdab", "sdab-web1",
		"sda/sdab", "$HOSTSTATE:db$", "$HOSTSTATE:fe80::1$", "$HOSTSTATE:web1$; $HOSTSTATE:web2$", "$SERVICESTATE:web2:disk: /$", "$SERVICESTATE:web1:disk: /$",
		"$HOSTNAME:", "$HOSTSTATE:nobody$", "5$",
	})
	equal(t, "macros", all.Argv[10].Macros(), []string{"HOSTSTATE:web1", "HOSTSTATE:web2"})
	equal(t, "no macros", len(all.Argv[14].Macros()), 0)
	equal(t, "line", line(service(t, c, "web1!disk: /")), `echo $HOSTSTATE:web1$','$HOSTSTATE:web2$ '$SERVICESTATE:web1:all$' 'web1;web2' $HOSTNAME:$PORT`)
	equal(t, "quoting", service(t, c, "web1!disk: /").Shell[1].Quote, alf.Unquoted)
	equal(t, "own check", line(service(t, c, "web2")), "x $SERVICESTATE:web2:disk: /$")
	equal(t, "notes_url", c.Inventory.Host("web1").NotesURL, "https://wiki/DB")
}
