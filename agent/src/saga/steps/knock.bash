# Tries to reach each address at PostgreSQL's port, all at once. Neighbours on a bridge answer within
# a millisecond (the kernel does, however busy the database is; it would ask again after a second only);
# and a firewall keeps silent. It says "tried" only in a shell that can open connections, which not every
# build of bash can, and where there is a route to other networks: without one no packet has met the
# firewall. Engines from 25.0 on give none to what is on internal networks alone.
case "$( (exec 3<>/dev/tcp/127.0.0.1/1) 2>&1)" in *"No such file"*) exit 9 ;; esac
for address in "$@"; do
    (exec 3<>"/dev/tcp/$address/5432" && echo "reached $address") 2>/dev/null &
done
for tick in 1 2 3; do
    [ -n "$(jobs -rp)" ] || break
    sleep 0.1
done
kill $(jobs -rp) 2>/dev/null
# An attempt that ends after this shell becomes the child of the container's first process. When that
# is PostgreSQL, it takes a killed one for a part of itself, and starts all over.
wait
while read -r _ destination _; do
    [ "$destination" != 00000000 ] || route=default
done < /proc/net/route
echo "${route:+tried}"
