#!/usr/bin/env bash
# Puts in place what the tests need: Debian packages, and Kafka 3.9 and an S3 server through Maven. `setup.sh demo`
# stops at what the demo needs: its broker is embedded.
# Root installs packages that are missing (KOL_NO_INSTALL=1 forbids it); others are told their names.
set -euo pipefail
cd "$(dirname "$0")/.."

# program:package
needed=(redis-server:redis-server redis-cli:redis-tools setpriv:util-linux kill:procps
        g++:g++ make:make perl:perl)
missing=()
for pair in "${needed[@]}"; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
if ((${#missing[@]})); then
    if [[ $(id -u) -eq 0 && -z ${KOL_NO_INSTALL:-} ]] && command -v apt-get >/dev/null; then
        echo "setup: installing ${missing[*]} (KOL_NO_INSTALL=1 to do it yourself)"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
    else
        echo "setup: missing packages: ${missing[*]}. Install them (as root: apt-get install" \
             "--no-install-recommends ${missing[*]}) and run this again." >&2
        exit 1
    fi
fi
if [[ ${1:-} == demo ]]; then
    exit 0
fi

# Servers that come as Java libraries: NAME and GROUP:ARTIFACT:VERSION of each, fetched with all that
# they need into target/tools/NAME/libs.
tools=$PWD/target/tools
fetch() {
    local name=$1 libs=$tools/$1/libs dependency work
    shift
    if [[ -d $libs ]]; then
        return
    fi
    echo "setup: fetching $name through Maven into $libs"
    work=$(mktemp -d)
    {
        echo '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        echo "<groupId>kol</groupId><artifactId>$name-for-tests</artifactId><version>1</version><dependencies>"
        for dependency; do
            IFS=: read -r group artifact version <<<"$dependency"
            echo "<dependency><groupId>$group</groupId><artifactId>$artifact</artifactId>" \
                 "<version>$version</version></dependency>"
        done
        echo '</dependencies></project>'
    } >"$work/pom.xml"
    mvn -q -B -f "$work/pom.xml" dependency:copy-dependencies -DoutputDirectory="$work/libs"
    # Moved at the end: an interrupted download never looks complete.
    mkdir -p "$tools/$name"
    mv "$work/libs" "$libs"
    rm -rf "$work"
}

if ! command -v java >/dev/null || ! command -v mvn >/dev/null; then
    echo "setup: NOT TESTED WITH REAL KAFKA AND S3: java and mvn are needed to fetch them. The scenarios" \
         "run on librdkafka's embedded mock broker, and those with S3 not at all." >&2
    exit 0
fi
if [[ -z ${KOL_KAFKA_LIBS:-} ]]; then
    fetch kafka org.apache.kafka:kafka_2.13:3.9.1 org.apache.kafka:kafka-tools:3.9.1 \
          org.slf4j:slf4j-simple:1.7.36
fi
fetch s3proxy org.gaul:s3proxy:2.9.0
