#!/bin/sh
# The gateway of Alf for @NAME@: all that Alf's key may do on this host. Written by
# "alf ssh authorize"; write it anew rather than change it.
#
# sshd runs it in the place of whatever was asked for, by the line in authorized_keys:
#
#	restrict,command="exec /usr/local/lib/alf-gateway" ssh-ed25519 ...
#
# It runs the commands that stand in permitted and varies, at the end of this file, and nothing
# else. Let root own it, so that no command can change it.
#
# What is asked for is words with one space between them:
#
#	alf-gateway/1 hello NONCE                            tells which list this is
#	alf-gateway/1 run NONCE INPUT DIR PATH WORD...       runs a command
#	alf-gateway/1 kill NONCE GROUP                       ends one that was started by that NONCE
#
# In a word, letters, digits and %+,-./:=@_ stand for themselves, and \0 and three octal digits
# for any other byte; \ alone is the empty word. INPUT says what comes over standard input: none,
# env, script or env,script. The environment is one line of such words, NAME=VALUE.
#
# No shell reads any text that was sent: words are compared with those of the list, and those that
# are permitted are made of their octal digits by printf, to become arguments.
set -fu

alf_list=@LIST@
alf_locale=${LC_ALL-}
alf_search=${PATH-}
LC_ALL=C
PATH=/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin
IFS=' '
export LC_ALL PATH
unset COLUMNS

refuse() { # WHY
	echo "alf-gateway: $1" >&2
	exit 126
}

# written tells whether a text is words, one space between them.
written() { # TEXT
	case $1 in
	'' | ' '* | *' ' | *'  '* | *[!0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz%+,./:=@_\\\ -]*) return 1 ;;
	esac
}

# decode makes a word's bytes of it, in alf_decoded. The x keeps newlines at the end.
decode() { # WORD
	case $1 in
	\\) alf_decoded= ;;
	*\\*)
		alf_decoded=$(printf '%bx' "$1")
		alf_decoded=${alf_decoded%x}
		;;
	*) alf_decoded=$1 ;;
	esac
}

# whole tells whether each backslash has its digits: a piece was cut out between escapes, and has
# no NUL. A loop that goes from one to the next takes minutes for a long text.
whole() { # PIECE
	case $1 in
	*\\0000*) return 1 ;;
	*\\*) ;;
	*) return 0 ;;
	esac
	case $(printf '%s\n' "$1" | sed 's/\\0[0123][01234567][01234567]//g' || echo \\) in
	*\\*) return 1 ;;
	esac
}

# within tells whether a text between single quotes of a shell line leaves them nowhere: each '
# in it belongs to '\'', which stands for one.
within() { # TEXT
	case $1 in
	*\'*) ;;
	*) return 0 ;;
	esac
	case $(printf '%s\n' "$1" | sed "s/'\\\\''//g" || echo \') in
	*\'*) return 1 ;;
	esac
}

# digest prints the SHA-256 of standard input.
digest() {
	if command -v sha256sum >/dev/null 2>&1; then
		sha256sum
	elif command -v shasum >/dev/null 2>&1; then
		shasum -a 256
	elif command -v sha256 >/dev/null 2>&1; then
		sha256 -q
	else
		openssl dgst -sha256 -r
	fi
}

# sum sets alf_sum to the SHA-256 of a text.
sum() { # TEXT
	alf_sum=$(printf %s "$1" | digest)
	alf_sum=${alf_sum%% *}
}

# may tells whether a piece of a word is one of that kind. None but "any" begins with a dash, so
# that none is an option.
may() { # KIND PIECE
	whole "$2" || return 1
	decode "$2"
	case $1 in
	any) return 0 ;;
	sha256:*)
		sum "$alf_decoded"
		[ "sha256:$alf_sum" = "$1" ]
		return
		;;
	esac
	case $alf_decoded in -*) return 1 ;; esac
	case $1 in
	text) return 0 ;;
	quoted) within "$alf_decoded" ;;
	plain)
		case $alf_decoded in
		*[!0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz\ :.+-]*) return 1 ;;
		esac
		;;
	*) return 1 ;;
	esac
}

# fits tells whether a word is made of these pieces: texts that are given, and between two of them
# one of that kind.
fits() { # WORD TEXT [KIND TEXT]...
	alf_rest=$1
	[ "$alf_rest" != \\ ] || alf_rest=
	shift
	while [ $# -gt 1 ]; do
		case $alf_rest in
		"$1"*) alf_rest=${alf_rest#"$1"} ;;
		*) return 1 ;;
		esac
		if [ $# -eq 3 ]; then
			case $alf_rest in
			*"$3") alf_piece=${alf_rest%"$3"} ;;
			*) return 1 ;;
			esac
		else
			case $alf_rest in
			*"$3"*) alf_piece=${alf_rest%%"$3"*} ;;
			*) return 1 ;;
			esac
		fi
		if [ $# -eq 3 ]; then
			alf_rest=$3 # to cut off a long piece takes shells many seconds
		else
			alf_rest=${alf_rest#"$alf_piece"}
		fi
		may "$2" "$alf_piece" || return 1
		shift 2
	done
	[ "$alf_rest" = "$1" ]
}

# gone tells whether nothing is left of a process, or of a group if its number has a minus. Who
# may not signal any of it gets another answer.
gone() { # PROCESS
	case $(kill -0 "$1" 2>&1) in
	*'o such process'*) return 0 ;;
	*) return 1 ;;
	esac
}

# nap takes a tenth of a second, or a whole one where sleep knows no other.
nap() {
	sleep 0.1 2>/dev/null || {
		sleep 1
		alf_n=$((alf_n + 9))
	}
	alf_n=$((alf_n + 1))
}

# dead tells whether nothing of a group runs any more: what waits for its parent to hear of its
# death is no process.
dead() { # GROUP
	alf_states=$(ps -A -o pgid= -o stat= 2>/dev/null) || return 1
	! printf '%s\n' "$alf_states" | grep -q "^ *$1  *[^ZX ]"
}

# stop ends all that a command runs, by the number of its group, as it is done where there is no
# gateway, and then this process: what it asks ps about must be its own children. Without a
# session of its own, watch is in that group, and must not signal the whole of it.
# shellcheck disable=SC2046,SC2086
stop() { # GROUP [APART]
	set +fu
	unset IFS
	exec >/dev/null
	set -- "$1" "${2:+-$1}" alf x
@KILL@
}

# watch ends a command when its time is up, whoever has lost sight of it. It is a process of its
# own, by which kill knows that the gateway has started that group.
watch() { # NONCE GROUP
	alf_past=0
	until gone "$2"; do
		if [ "$alf_past" -ge "$ALF_GATEWAY_LIMIT" ]; then
			stop "$2" "$ALF_GATEWAY_APART"
		fi
		sleep 1
		alf_past=$((alf_past + 1))
	done
	exit 0
}

# watched tells whether the gateway has started that group, and still watches it.
watched() { # NONCE GROUP
	# shellcheck disable=SC2009
	ps -A -o args= 2>/dev/null | grep -Fqx -e "/bin/sh $0 watch $1 $2"
}

# guard starts watch, in a session of its own if it can: as no child of the command, and outside
# its group.
guard() { # NONCE
	alf_apart=
	! command -v setsid >/dev/null 2>&1 || alf_apart=setsid
	# shellcheck disable=SC2086
	(ALF_GATEWAY_LIMIT=$alf_limit ALF_GATEWAY_APART=$alf_apart $alf_apart /bin/sh "$0" watch "$1" "$$" </dev/null >/dev/null 2>&1 &)
}

# publish sets the environment.
publish() { # NAME=VALUE...
	for alf_word; do
		decode "$alf_word"
		# shellcheck disable=SC2163
		export "$alf_decoded"
	done
}

# end is asked for when a command must not go on.
end() { # NONCE GROUP
	case $2 in
	'' | 0* | 1 | *[!0123456789]* | ??????????*) refuse 'was asked to kill what is no process group' ;;
	esac
	alf_n=0
	until watched "$1" "$2"; do
		! gone "-$2" || exit 0
		if [ $alf_n -ge 10 ]; then
			! dead "$2" || exit 0
			refuse 'was asked to kill a process group that it has not started'
		fi
		nap
	done
	stop "$2" apart
}

# main does what was asked for.
main() { # VERB NONCE ...
	case $2 in
	*[!ABCDEFGHIJKLMNOPQRSTUVWXYZ234567]* | ?????????????????????????????????*) refuse 'was asked for something that it does not understand' ;;
	esac
	case $1.$# in
	hello.2)
		echo "$2 $$"
		echo "list $alf_list"
		uname -srm
		exit 0
		;;
	kill.3) end "$2" "$3" ;;
	run.[6789] | run.[123456789][0123456789]*)
		shift
		run "$@"
		;;
	esac
	refuse 'was asked for something that it does not understand'
}

# run becomes the command, if it is permitted.
run() { # NONCE INPUT DIR PATH WORD...
	alf_nonce=$1
	alf_input=$2
	shift 2
	alf_values=
	alf_sum=none
	case $(command -v printf) in
	*/*) refuse 'needs a shell with a printf of its own: others would show secrets in the process list' ;;
	esac
	case $alf_input in
	none | env | script | env,script) ;;
	*) refuse 'was asked for something that it does not understand' ;;
	esac
	case $alf_input in
	env | env,script)
		IFS= read -r alf_values || refuse 'got no environment'
		written "$alf_values" || refuse 'got an environment that it does not understand'
		;;
	esac
	case $alf_input in
	script | env,script)
		alf_script=$(head -c 1048577 && echo x) || refuse 'got no script'
		alf_script=${alf_script%x}
		sum "$alf_script"
		;;
	esac
	alf_asked="$alf_sum${alf_values:+ $alf_values} | $*"
	# shellcheck disable=SC2086
	permitted $alf_asked || refuse '@HINT@'
	gone "-$$" && refuse 'must lead a process group: put exec before its name in authorized_keys'

	decode "$1"
	alf_dir=$alf_decoded
	decode "$2"
	alf_path=$alf_decoded
	shift 2
	alf_n=$#
	while [ $alf_n -gt 0 ]; do
		decode "$1"
		shift
		set -- "$@" "$alf_decoded"
		alf_n=$((alf_n - 1))
	done
	if [ -n "$alf_dir" ]; then
		cd "$alf_dir" || {
			echo "$alf_nonce dir"
			exit 126
		}
	fi
	guard "$alf_nonce"
	PATH=$alf_search
	LC_ALL=$alf_locale
	[ -n "$alf_locale" ] || unset LC_ALL
	# shellcheck disable=SC2086
	publish $alf_values
	[ -z "$alf_path" ] || PATH=$alf_path${PATH:+:$PATH}
	echo "$alf_nonce $$"
	case $alf_input in
	none | env) exec "$@" </dev/null ;;
	esac
	printf %s "$alf_script" 2>/dev/null | (exec "$@")
	exit
}

@LISTED@
if [ $# -eq 3 ] && [ "$1" = watch ]; then
	watch "$2" "$3"
fi
alf_request=${SSH_ORIGINAL_COMMAND-}
unset SSH_ORIGINAL_COMMAND
case $alf_request in
'') refuse 'gives no shell' ;;
'alf-gateway/1 '*) alf_request=${alf_request#* } ;;
*) refuse 'runs only what Alf asks it for, with gateway = true' ;;
esac
written "$alf_request" || refuse 'was asked for something that it does not understand'
# shellcheck disable=SC2086
set -- $alf_request
[ $# -ge 2 ] || refuse 'was asked for something that it does not understand'
main "$@"
