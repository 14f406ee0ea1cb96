# Tries to reach each address at PostgreSQL's port, all at once. Neighbours on a bridge answer within
# a millisecond (the kernel does, however busy the database is; it would ask again after a second only);
# and a firewall keeps silent. How long it takes to ask is another matter on a busy host: silence counts
# from when the kernel says that every question is out (state 02, SYN_SENT, to port 1538 as it writes
# 5432; proc_net_tcp(5)). It says "tried" only then, in a shell that can open connections, which not
# every build of bash can, and where there is a route to other networks: without one no packet has met
# the firewall. Engines from 25.0 on give none to what is on internal networks alone.
case "$( (exec 3<>/dev/tcp/127.0.0.1/1) 2>&1)" in *"No such file"*) exit 9 ;; esac
for address in "$@"; do
    (exec 3<>"/dev/tcp/$address/5432" && echo "reached $address") 2>/dev/null &
done
silent=0
for ((tick = 0; tick < 100 && silent < 3; tick++)); do
    asking=($(jobs -rp))
    [ ${#asking[@]} -gt 0 ] || break
    sleep 0.1
    out=0
    for table in /proc/net/tcp /proc/net/tcp6; do
        [ -r "$table" ] || continue
        while read -r _ _ remote state _; do
            case "$remote $state" in *":1538 02") out=$((out + 1)) ;; esac
        done < "$table"
    done
    [ "$out" -lt ${#asking[@]} ] && silent=0 || silent=$((silent + 1))
done
asking=($(jobs -rp))
kill "${asking[@]}" 2>/dev/null
# An attempt that ends after this shell becomes the child of the container's first process. When that
# is PostgreSQL, it takes a killed one for a part of itself, and starts all over.
wait
while read -r _ destination _; do
    [ "$destination" != 00000000 ] || route=default
done < /proc/net/route
[ "$silent" -ge 3 ] || [ ${#asking[@]} -eq 0 ] || route=
echo "${route:+tried}"
