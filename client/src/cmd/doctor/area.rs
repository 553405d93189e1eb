//! What can be wrong, in the order in which to mend it.

/// A part of a cluster. What stands first can be the reason why later ones look wrong, or why nobody can say how they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Area {
    /// No master answers.
    Master,
    /// Masters answer, and none leads.
    Leader,
    Versions,
    Clocks,
    Executors,
    Checkpoints,
    Kafka,
    Redis,
    /// What is wrong with a job alone.
    Job,
    /// A master that does not answer while another one leads: nothing waits for it.
    Standby,
}

impl Area {
    /// For people and scripts.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Leader => "leader",
            Self::Versions => "versions",
            Self::Clocks => "clocks",
            Self::Executors => "executors",
            Self::Checkpoints => "checkpoints",
            Self::Kafka => "kafka",
            Self::Redis => "redis",
            Self::Job => "job",
            Self::Standby => "standby",
        }
    }

    /// What a problem of a job is about.
    pub(super) fn of(code: &str) -> Self {
        let begins = |with: &[&str]| with.iter().any(|begin| code.starts_with(begin));
        match code {
            // An epoch waits for Redis as well: that one is mended first.
            "CHECKPOINT_TIMEOUT" => Self::Job,
            "NO_EXECUTOR" | "MEMORY_LIMIT" => Self::Executors,
            "FENCED" => Self::Redis,
            "DEAD_LETTER" | "WATERMARKS" => Self::Kafka,
            _ if begins(&["EXECUTOR_"]) => Self::Executors,
            _ if begins(&["CHECKPOINT_"]) => Self::Checkpoints,
            _ if begins(&["SOURCE_", "TOPIC_"]) => Self::Kafka,
            _ if begins(&["SINK_"]) => Self::Redis,
            _ => Self::Job,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_of_a_job_is_about_what_its_code_says() {
        for (code, area) in [
            ("NO_EXECUTOR", Area::Executors),
            ("CHECKPOINT_UNAVAILABLE", Area::Checkpoints),
            ("CHECKPOINT_TIMEOUT", Area::Job),
            ("TOPIC_NOT_FOUND", Area::Kafka),
            ("SOURCE_UNREACHABLE", Area::Kafka),
            ("SINK_READ_ONLY", Area::Redis),
            ("PARTITIONS_WAITING", Area::Job),
            ("STATE_LOST", Area::Job),
        ] {
            assert_eq!(Area::of(code), area, "{code}");
        }
    }
}
