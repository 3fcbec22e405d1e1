#!/usr/bin/env bash
# Every example runs to its end in a small form and leaves what it promises.
set -euo pipefail
source "$(dirname "$0")/common.sh"

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# example, a text that its output must have, arguments. An example checks its own figures and fails with exit code 1;
# the text shows that it came to its end.
run() {
    local name=$1 text=$2
    shift 2
    echo "example: $name $*"
    cargo run --quiet --example "$name" -- "$@" >"$out/$name.txt" || { cat "$out/$name.txt"; return 1; }
    grep -qF -- "$text" "$out/$name.txt" || {
        cat "$out/$name.txt"
        echo "$name: no \"$text\" in its output" >&2
        return 1
    }
}

for path in examples/*.rs examples/*/main.rs; do
    [ -e "$path" ] || continue
    name=${path#examples/}
    name=${name%/main.rs}
    name=${name%.rs}
    case $name in
        quickstart) run quickstart "not a number" ;;
        toast_and_coffee)
            run toast_and_coffee "5 minutes" --minute-ms 20
            run toast_and_coffee "5 minutes" --minute-ms 50 --executor processes
            ;;
        amdahl)
            for executor in threads processes; do
                run amdahl "measured" --work-ms 60 --executor $executor --out "$out/amdahl-$executor.svg"
                grep -q "</svg>" "$out/amdahl-$executor.svg"
            done
            ;;
        custom_executor) run custom_executor "wait" ;;
        shared_table) run shared_table "SharedBytes" ;;
        socket_executor) run socket_executor "killed: true" ;;
        pipeline)
            run pipeline "10 of 10" --pictures 10 --latency-ms 5 --dir "$out/thumbnails" --out "$out/pipeline.svg"
            [ "$(ls "$out/thumbnails" | wc -l)" = 10 ]
            grep -q "</svg>" "$out/pipeline.svg"
            ;;
        soak)
            run soak "nothing left behind" --minutes 0.1 --out "$out/soak.svg"
            grep -q "</svg>" "$out/soak.svg"
            ;;
        # It runs until it is told to end: tests/examples/server.rs loads it.
        thumbnail_server) ;;
        timeline)
            run timeline "longest" --pieces 6 --out "$out/timeline.svg" --trace "$out/timeline.json"
            grep -q "</svg>" "$out/timeline.svg"
            grep -q '"cat":"task"' "$out/timeline.json"
            ;;
        weather_fetch)
            run weather_fetch "days" --days 6 --latency 0.1 --interval 60 --sequential 2 --out "$out/weather.json" \
                --trace "$out/weather-trace.json"
            [ -s "$out/weather.json" ]
            grep -q '"cat":"task"' "$out/weather-trace.json"
            ;;
        xray_resize)
            run xray_resize "control" --images 8 --cache "$out/xrays" --out "$out/xrays.npy" --contact-sheet "$out/xrays.png" \
                --trace "$out/xrays-trace.json"
            [ "$(head -c 6 "$out/xrays.npy" | tail -c 5)" = NUMPY ]
            [ -s "$out/xrays.png" ]
            grep -q '"cat":"task"' "$out/xrays-trace.json"
            ;;
        *)
            echo "$name: tell ci/examples.sh how to run it in a small form" >&2
            exit 1
            ;;
    esac
done
