#!/usr/bin/env bash
# Puts in place what the tests need: Debian packages, and Kafka 3.9 through Maven. `setup.sh demo`
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

libs=${KOL_KAFKA_LIBS:-$PWD/target/tools/kafka/libs}
if [[ -n $(compgen -G "$libs/kafka_2.13-*.jar") ]]; then
    exit 0
fi
if ! command -v java >/dev/null || ! command -v mvn >/dev/null; then
    echo "setup: NOT TESTED WITH REAL KAFKA: java and mvn are needed to fetch it. The scenarios run" \
         "on librdkafka's embedded mock broker instead." >&2
    exit 0
fi
echo "setup: fetching Kafka 3.9.1 through Maven into $libs"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/pom.xml" <<'POM'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>kol</groupId><artifactId>kafka-for-tests</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>3.9.1</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>3.9.1</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
POM
mvn -q -B -f "$work/pom.xml" dependency:copy-dependencies -DoutputDirectory="$work/libs"
# Moved at the end: an interrupted download never looks complete.
mkdir -p "$(dirname "$libs")"
rm -rf "$libs"
mv "$work/libs" "$libs"
