#!/usr/bin/env bash
# The installed tree and the Debian packages, used as a stranger would: pkg-config, CMake, shared and
# static.  Usage: package.sh SOURCE BUILD
set -euo pipefail
source=$1 build=$2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

fail() {
	echo "package: $*" >&2
	exit 1
}

version=$(sed -n 's/^project(weft VERSION \([0-9.]*\).*/\1/p' "$source/CMakeLists.txt")
app=$source/tests/package/consumer/app.c

check_run() { # program [library folder]
	local said
	said=$(LD_LIBRARY_PATH=${2:-} timeout 60 "$1") || fail "$1 failed"
	[ "$said" = "$version" ] || fail "$1 says '$said', not '$version'"
}

# The DNS component: shared and static, and not a word of c-ares in the library proper.
check_dns() { # prefix lib
	local flags
	read -ra flags < <(pkg-config --cflags --libs weft-dns)
	cc -Wall -Wextra -Werror -DAPP_DNS -o "$tmp/dns" "$app" "${flags[@]}" -Wl,-rpath-link,"$2"
	check_run "$tmp/dns" "$2"
	readelf -d "$tmp/dns" | grep -q "NEEDED.*libweft-dns.so.${version%.*}\]" || fail "another SONAME of libweft-dns"
	! readelf -d "$2/libweft.so" | grep -q cares || fail "libweft needs c-ares"
	read -ra flags < <(pkg-config --static --libs liburcu-bp liburcu-cds libmnl libsodium libcares)
	cc -Wall -Wextra -Werror -DAPP_DNS -I"$1/include" -o "$tmp/dns_static" "$app" "$2/libweft-dns.a" "$2/libweft.a" \
		"${flags[@]}" -pthread
	check_run "$tmp/dns_static"
}

# Each function has a page of its name, or a link to one that there is.
check_manual() { # folder
	local name target
	[ -f "$1/man7/weft.7" ] || fail "no manual"
	while read -r name; do
		[ -f "$1/man3/$name.3" ] || fail "no page $name"
		target=$(sed -n '1s/^\.so //p' "$1/man3/$name.3")
		grep -q "^\.Nm $name\b" "$1/${target:-man3/$name.3}" || fail "the page of $name is another's"
	done < <(sed -n 's/^\t\(weft_[a-z0-9_]*\);$/\1/p' "$source/api/package/weft.map")
}

# Builds the program against the tree below $1.
check_tree() { # prefix
	local prefix=$1 lib flags
	lib=$(dirname "$(find "$prefix" -name libweft.a)")
	export PKG_CONFIG_PATH=$lib/pkgconfig
	[ "$(pkg-config --modversion weft)" = "$version" ] || fail "weft.pc has another version"
	read -ra flags < <(pkg-config --cflags --libs weft)
	cc -Wall -Wextra -Werror -o "$tmp/shared" "$app" "${flags[@]}"
	check_run "$tmp/shared" "$lib"
	readelf -d "$tmp/shared" | grep -q "NEEDED.*libweft.so.${version%.*}\]" || fail "another SONAME"
	read -ra flags < <(pkg-config --static --libs liburcu-bp liburcu-cds libmnl libsodium)
	cc -Wall -Wextra -Werror -I"$prefix/include" -o "$tmp/static" "$app" "$lib/libweft.a" "${flags[@]}" -pthread
	check_run "$tmp/static"
	if [ -f "$lib/libweft-dns.a" ]; then
		check_dns "$prefix" "$lib"
	fi
	unset PKG_CONFIG_PATH
	rm -rf "$tmp/consumer"
	cmake -S "$source/tests/package/consumer" -B "$tmp/consumer" -DCMAKE_PREFIX_PATH="$prefix" >"$tmp/log" ||
		{ cat "$tmp/log" >&2; fail "find_package"; }
	cmake --build "$tmp/consumer" >"$tmp/log" || { cat "$tmp/log" >&2; fail "consumer"; }
	check_run "$tmp/consumer/app"
	check_run "$tmp/consumer/app_static"
	if [ -f "$lib/libweft-dns.a" ]; then
		check_run "$tmp/consumer/app_dns"
		check_run "$tmp/consumer/app_dns_static"
	fi
	printf '#include <weft/weft.h>\n' | clang++ -x c++ -Wall -Wextra -Werror -I"$prefix/include" -fsyntax-only - ||
		fail "the headers are no C++"
	printf '#include <weft/weft.h>\n' | cc -x c -std=c99 -pedantic -Wall -Wextra -Werror -I"$prefix/include" -fsyntax-only - ||
		fail "the headers are no ISO C"
	check_manual "$prefix/share/man"
	cc -Wall -Wextra -Werror -I"$prefix/include" -fsyntax-only "$prefix"/share/doc/weft/examples/{hello,watch}.c ||
		fail "examples"
}

cmake --install "$build" --prefix "$tmp/tree/usr" >"$tmp/log"
check_tree "$tmp/tree/usr"

# The same files as Debian packages.
(cd "$tmp" && cpack --config "$build/CPackConfig.cmake" -B "$tmp/deb" >"$tmp/log" 2>&1) ||
	{ cat "$tmp/log" >&2; fail "cpack"; }
for package in "$tmp"/deb/*.deb; do
	dpkg-deb -x "$package" "$tmp/root"
	dpkg-deb -f "$package" Package
done | sort >"$tmp/names"
dns=()
[ ! -f "$tmp/root/usr/include/weft/dns.h" ] || dns=(libweft-dns-dev "libweft-dns${version%.*}")
printf '%s\n' libweft-dev ${dns[@]+"${dns[@]}"} "libweft${version%.*}" weft-tools | sort | cmp - "$tmp/names" || fail "other packages"
depends=$(dpkg-deb -f "$tmp"/deb/libweft0*.deb Depends)
[[ $depends == *liburcu* && $depends == *libsodium* && $depends == *libmnl* ]] || fail "libweft depends on '$depends'"
depends=$(dpkg-deb -f "$tmp"/deb/libweft-dev*.deb Depends)
[[ $depends == *"libweft${version%.*}"* ]] || fail "libweft-dev depends on '$depends'"
if [ "${#dns[@]}" -gt 0 ]; then
	depends=$(dpkg-deb -f "$tmp"/deb/libweft-dns0*.deb Depends)
	[[ $depends == *libc-ares* && $depends == *"libweft${version%.*}"* ]] || fail "libweft-dns depends on '$depends'"
	depends=$(dpkg-deb -f "$tmp"/deb/libweft-dns-dev*.deb Depends)
	[[ $depends == *libc-ares-dev* && $depends == *libweft-dev* && $depends == *libweft-dns0* ]] ||
		fail "libweft-dns-dev depends on '$depends'"
fi
check_tree "$tmp/root/usr"
"$tmp/root/usr/bin/weft-echo" --help >/dev/null || fail "weft-echo"
echo "package: ok"
