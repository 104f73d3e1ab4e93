# Ends all that a command runs: TERM, and KILL most of a second later. It says "WORD 0" and
# exits with 0 only if nothing of it is left, else with 1.
#
#   $1  the process that sshd has started for the command
#   $2  "-$1" to signal its group at once; empty: this runs inside the group itself
#   $3  WORD
#   $4  not empty: sshd makes each command the leader of a session and of a process group
#
# Comments and the beginnings of lines are cut off, and all lines are joined by spaces. There
# is no quote, backslash or exclamation mark, so that it is plain text to any login shell.

LC_ALL=C; export LC_ALL;
pid=$1; group=$2; word=$3; sshd=$4; seen=$4;
first=i$1; sessions=" s$1 "; before=;

end() { echo; echo "$word $1"; exit "$1"; };

# What belongs to the command: its session, whatever its groups; its children and theirs, and
# the sessions that these have begun; and what was found before. Whoever was found is known
# again by PID and session. Neither we nor our own children are of it.
look() {
	all=$(exec ps -A -o pid= -o ppid= -o pgid= -o sid= -o stat= -o comm= 2>/dev/null);
	tree=" "; known=; strays=; sudos=; others=;
	while :; do
		set -- $(echo "$all" | while read -r p parent g s state name; do
			case "$state $tree" in ([ZX]*|*" $p "*) continue;; esac;
			case " $first $sessions$before$tree" in
				(*" i$p "*|*" s$s "*|*" g$p/$s "*|*" $parent "*) ;;
				(*) continue;;
			esac;
			[ "$p" = $$ ] || [ "$parent" = $$ ] && continue;
			[ "$name" = sudo ] || name=-;
			echo "$p $g $s $name";
		done);
		[ $# -gt 0 ] || break;
		while [ $# -gt 0 ]; do
			tree="$tree$1 "; known="$known g$1/$3 ";
			[ "$1" = "$3" ] && sessions="$sessions s$1 ";
			if [ "$4" = sudo ]; then sudos="$sudos $1"; else others="$others $1"; fi;
			[ "$group" ] && [ "$2" = "$pid" ] || strays="$strays $1";
			shift 4;
		done;
		seen=1;
	done;
	first=; before=$known;
};

# Where ps shows not even process 1, it shows none of other accounts, such as those behind sudo.
# The kernel tells these from an empty group all the same.
gone() {
	[ "$tree" = " " ] || return;
	[ "$seen" ] && echo "$all" | grep -q "^ *1 " && end 0;
	[ "$sshd" ] && case "$(kill -0 -"$pid" 2>&1)" in (*"o such process"*) end 0;; esac;
};

# Where sleep knows no fractions, there is one nap of a second instead of several.
nap() { sleep "$1" 2>/dev/null || { sleep 1; slow=1; }; };
hit() { kill -"$1" $group $strays 2>/dev/null; };

look; gone;

# What forks between a look and TERM could leave the tree unseen when its parent dies. So all are
# stopped until a look finds nobody new. A sudo must not see what it runs stop: it would stop, too,
# of its own accord.
if [ -z "$sudos" ]; then
	for t in 1 2 3; do
		were=$tree; hit STOP; look;
		[ "$tree" = "$were" ] && break;
	done;
	gone;
fi;
hit TERM; [ -z "$sudos" ] && hit CONT; slow=;
for t in 0.1 0.1 0.2 0.3; do
	nap $t; look; gone;
	[ "$slow" ] && break;
	[ "$sudos" ] && [ $t = 0.2 ] && break;
done;

# A sudo that is killed leaves what it runs, which only root may signal. To ALRM it answers as
# to the end of its own command_timeout: it sends TERM, and KILL two seconds later.
if [ "$sudos" ]; then
	kill -ALRM $sudos 2>/dev/null; [ "$others" ] && kill -KILL $others 2>/dev/null;
	for t in 1 1 0.2 0.2 0.2 0.2; do
		[ "$sudos" ] || break;
		nap $t; look; gone;
	done;
fi;

for t in 0.1 0.1 0.2 0.3; do
	hit KILL; nap $t; look; gone;
	[ "$slow" ] && break;
done;
end 1
