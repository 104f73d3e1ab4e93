package perfdata_test

import (
	"fmt"

	"alf/perfdata"
)

func Example() {
	o := perfdata.Split("PING WARNING - RTA = 155 ms | rta=155ms;100;~:500;0 pl=0%;20;60;0 junk", 0)
	fmt.Println(o.Text)

	data, err := perfdata.Parse(o.Perfdata)
	for _, d := range data {
		base := d.Base()
		fmt.Println(d, "is", base.Value, base.UOM, "alerts:", base.Warn.Alerts(base.Value.V))
	}
	fmt.Println(err)
	// Output:
	// PING WARNING - RTA = 155 ms
	// rta=155ms;100;~:500;0 is 0.155 seconds alerts: true
	// pl=0%;20;60;0 is 0 percent alerts: false
	// perfdata at byte 36: "junk": no '=' after the label
}
