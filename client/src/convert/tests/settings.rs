//! Classes of pydantic that read the environment.

use super::{converted, pyspark, requests, spec};

fn job(class: &str, topic: &str) -> String {
    let options =
        format!(".option(\"kafka.bootstrap.servers\", \"k:9092\").option(\"subscribe\", {topic})");
    pyspark(&format!("{class}\ns = S()"), &options)
}

#[test]
fn fields_of_settings_are_variables() {
    for (class, env) in [
        (
            "class S(BaseSettings):\n    kafka_topic: str = \"dev\"",
            "KAFKA_TOPIC=live",
        ),
        (
            "class S(BaseSettings):\n    kafka_topic: str",
            "kafka_topic=live",
        ),
        (
            "class S(BaseSettings):\n    model_config = SettingsConfigDict(env_prefix=\"KOL_\")\n    kafka_topic: str = \"dev\"",
            "KOL_KAFKA_TOPIC=live",
        ),
        (
            "class S(BaseSettings):\n    kafka_topic: str = \"dev\"\n    class Config:\n        env_prefix = \"kol_\"",
            "KOL_KAFKA_TOPIC=live",
        ),
        (
            "class S(BaseSettings):\n    kafka_topic: str = Field(\"dev\", validation_alias=\"TOPIC\")",
            "TOPIC=live\nKAFKA_TOPIC=other",
        ),
        (
            "class B(BaseSettings):\n    kafka_topic: str = \"dev\"\nclass S(B):\n    pass",
            "KAFKA_TOPIC=live",
        ),
    ] {
        let job = job(class, "s.kafka_topic");
        let env = format!("{env}\n");
        let files = [("prod.env", &env[..]), ("job.py", &job[..])];
        assert_eq!(spec(&files).source.topics(), ["live"], "{class}");
    }
}

#[test]
fn a_default_of_settings_is_said() {
    let job = job(
        "class S(BaseSettings):\n    kafka_topic: str = \"dev\"",
        "s.kafka_topic",
    );
    let files = [("job.py", &job[..])];
    assert_eq!(spec(&files).source.topics(), ["dev"]);
    let said = converted(&files).notes.join("\n");
    assert!(
        said.contains("KAFKA_TOPIC is not set in the files given: its default \"dev\""),
        "{said}"
    );
}

#[test]
fn a_field_that_a_class_changes_is_requested() {
    for class in [
        "class S(BaseSettings):\n    model_config = SettingsConfigDict(env_prefix=PREFIX)\n    t: str = \"dev\"",
        "class S(BaseSettings):\n    t: str = Field(\"dev\", validation_alias=AliasChoices(\"A\", \"B\"))",
        "class S(BaseSettings):\n    t: str = \"dev\"\n    @field_validator(\"t\")\n    def up(cls, v):\n        return v.upper()",
        "class S(BaseModel):\n    t: str = \"dev\"\n    @validator(\"t\")\n    def up(cls, v):\n        return v.upper()",
        "class S(dict):\n    t = \"dev\"\n    def __getattr__(self, k):\n        return os.environ[k]",
    ] {
        let job = job(class, "s.t");
        requests(&converted(&[("job.py", &job)]), "topics", "FILL-IN");
    }
}
