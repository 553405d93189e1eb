//! How long Redis' processor has worked, as Redis says itself.

use std::time::Duration;

use redis::RedisResult;

use super::RedisConnection;
use super::connection::beside;

/// How long the processor of the node that has this key has worked since it was started; `None` where it does not say.
///
/// # Errors
/// As the client says.
pub async fn processor_time(
    open: &mut RedisConnection,
    key: &str,
) -> RedisResult<Option<Duration>> {
    let info = redis::cmd("INFO").arg("cpu").take();
    let text: String = beside(open, key, info).await?;
    Ok(time_of(&text))
}

/// Of the thread that executes commands where that is known (from Redis 6.2 on), else of the process.
fn time_of(text: &str) -> Option<Duration> {
    let seconds = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|value| value.trim().parse::<f64>().ok())
    };
    let sum = |thread: &str| {
        let system = seconds(&format!("used_cpu_sys{thread}:"))?;
        let user = seconds(&format!("used_cpu_user{thread}:"))?;
        Duration::try_from_secs_f64(system + user).ok()
    };
    sum("_main_thread").or_else(|| sum(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_that_executes_commands_counts_where_it_is_known() {
        let of_process =
            "# CPU\r\nused_cpu_sys:1.5\r\nused_cpu_user:2.25\r\nused_cpu_sys_children:9.0\r\n";
        let of_thread = "used_cpu_sys_main_thread:1.0\r\nused_cpu_user_main_thread:2.0\r\n";
        assert_eq!(time_of(of_process), Some(Duration::from_millis(3_750)));
        let both = format!("{of_process}{of_thread}");
        assert_eq!(time_of(&both), Some(Duration::from_secs(3)));
        for nothing in [
            "",
            "used_cpu_sys:1\r\n",
            "used_cpu_sys:-9\r\nused_cpu_user:1\r\n",
        ] {
            assert_eq!(time_of(nothing), None, "{nothing}");
        }
    }
}
