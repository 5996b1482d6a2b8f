# A PostgreSQL cluster that lives as long as its standard input is open. It prints its socket directory when it is
# ready; then it obeys the lines `stop`, `kill`, `start`, `freeze` and `thaw`, and answers each with a line.
set -eu
bin=${1:+$1/}
dir=$(mktemp -d "${TMPDIR:-/tmp}/pg.XXXXXX")
server=

start() {
    # What a killed server left behind would look ready, and locked.
    rm -f "$dir/data/postmaster.pid" "$dir"/.s.PGSQL.*
    # Only processes die here, never the machine: no commit has to wait for a disk, which may stall for seconds.
    "${bin}postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c max_connections=100 -c fsync=off \
        >>"$dir/log" 2>&1 &
    server=$!
    until [ "$(sed -n 8p "$dir/data/postmaster.pid" 2>/dev/null | tr -d ' ')" = ready ]; do
        kill -0 "$server" || { cat "$dir/log" >&2; exit 1; }
        sleep 0.02
    done
}
everyone() { echo "$server $(cat "/proc/$server/task/$server/children")"; }
end() {
    kill "-$1" "$server" 2>/dev/null && kill -CONT $(everyone) 2>/dev/null || true
    wait "$server" 2>/dev/null || true
}
# Another server refuses to start as long as a process of this one is attached to its memory.
gone() { case $(state "$1") in '' | Z | X) ;; *) return 1 ;; esac; }
# A process may end between being listed and being signalled, and goes on for a while after the signal.
still() { case $(state "$1") in T) ;; *) gone "$1" ;; esac; }
state() { sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null; }
# A test that died no longer reads the answers; that must not end the shell before its trap.
trap '' PIPE
trap 'end INT; rm -rf "$dir"' EXIT
# A shell that a signal ends runs no EXIT trap, unless it exits because of it.
trap 'exit 1' INT TERM HUP

"${bin}initdb" -D "$dir/data" -U bookstock -A trust --no-locale -E UTF8 --no-sync >"$dir/log" 2>&1
start
echo "$dir"
while read -r command; do
    case $command in
        stop) end INT ;;
        kill)
            children=$(cat "/proc/$server/task/$server/children")
            end KILL
            kill -KILL $children 2>/dev/null || true
            for child in $children; do until gone "$child"; do sleep 0.01; done; done
            ;;
        start) start ;;
        freeze)
            processes=$(everyone)
            kill -STOP $processes 2>/dev/null || true
            for process in $processes; do until still "$process"; do sleep 0.01; done; done
            ;;
        thaw) kill -CONT $(everyone) 2>/dev/null || true ;;
    esac
    echo "$command" 2>/dev/null || exit 1
done
