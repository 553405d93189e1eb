//! An open connection, whatever is behind it.

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::{
    Cmd, FromRedisValue, Pipeline, RedisError, RedisFuture, RedisResult, Value, from_redis_value,
};

use super::classify;
use crate::KolError;

/// An open connection: to one server, or to the nodes of a Cluster. Cheap to clone; clones share sockets.
#[derive(Clone)]
pub enum RedisConnection {
    /// To one server.
    Server(MultiplexedConnection),
    /// To the nodes of a Cluster: the client sends each command, and each pipeline as a whole, to the node
    /// that has the hash slot of its keys.
    Cluster(ClusterConnection),
}

impl From<MultiplexedConnection> for RedisConnection {
    fn from(connection: MultiplexedConnection) -> Self {
        Self::Server(connection)
    }
}

impl From<ClusterConnection> for RedisConnection {
    fn from(connection: ClusterConnection) -> Self {
        Self::Cluster(connection)
    }
}

impl std::fmt::Debug for RedisConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Server(_) => "Server",
            Self::Cluster(_) => "Cluster",
        })
    }
}

impl ConnectionLike for RedisConnection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Server(open) => open.req_packed_command(cmd),
            Self::Cluster(open) => open.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Server(open) => open.req_packed_commands(pipeline, offset, count),
            Self::Cluster(open) => open.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Server(open) => open.get_db(),
            Self::Cluster(open) => open.get_db(),
        }
    }
}

/// What a server says of itself (`INFO server`); in a Cluster, what any of its nodes says.
///
/// # Errors
/// Code `SINK_…`: see [`classify`].
pub async fn server_info(open: &mut RedisConnection) -> Result<String, KolError> {
    let texts = info(open, "server").await.map_err(|e| classify(&e))?;
    Ok(texts.into_iter().next().unwrap_or_default())
}

/// A section of `INFO`, of the server or of each node of a Cluster.
pub(super) async fn info(open: &mut RedisConnection, section: &str) -> RedisResult<Vec<String>> {
    let mut command = redis::cmd("INFO");
    command.arg(section);
    let texts = match command.query_async(open).await? {
        Value::Map(nodes) => nodes.into_iter().map(|(_, text)| text).collect(),
        text => vec![text],
    };
    let texts = texts.into_iter().map(from_redis_value::<String>);
    texts.map(|text| text.map_err(RedisError::from)).collect()
}

/// Does a command without a key where this key is: on the server, or on the node of a Cluster that has its hash slot.
pub(super) async fn beside<T: FromRedisValue>(
    open: &mut RedisConnection,
    key: &str,
    command: Cmd,
) -> RedisResult<T> {
    match open {
        RedisConnection::Server(server) => command.query_async(server).await,
        RedisConnection::Cluster(cluster) => {
            let route = Route::with_key(key, SlotAddr::Master);
            let node = SingleNodeRoutingInfo::SpecificNode(route);
            let answer = cluster.route_command(command, RoutingInfo::SingleNode(node));
            Ok(from_redis_value(answer.await?)?)
        }
    }
}
