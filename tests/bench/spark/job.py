"""The rankings of KOL as a Spark job, as well as Spark allows: the peer of `make bench-spark`.

Reads a topic to its end, sums engagement in windows of five minutes that slide by one, scores creators and writes hash and
ranking to Redis. No Python touches an event: parsing, sums and scores are Spark's own, and rows come to Python only to be
written, in batches through pipelines.
"""

import argparse

import redis
from pyspark.sql import SparkSession
from pyspark.sql import functions as f

COUNTERS = ("like_count", "comment_count", "share_count")
FIELDS = "username string, platform string, event_time timestamp, " + ", ".join(
    f"{name} double, {name}_raw string" for name in COUNTERS
)
# Rows of one pipeline.
BATCH = 2_000


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--redis-port", required=True, type=int)
    parser.add_argument("--jars", required=True)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--cores", required=True, type=int)
    return parser.parse_args()


def session(args):
    return (
        SparkSession.builder.master(f"local[{args.cores}]")
        .config("spark.jars", args.jars)
        .config("spark.driver.memory", "4g")
        .config("spark.sql.shuffle.partitions", 2 * args.cores)
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.ui.enabled", "false")
        .config(
            "spark.sql.streaming.stateStore.providerClass",
            "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider",
        )
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .getOrCreate()
    )


def counter(name):
    """A number, or text such as 7.4K; what cannot be read counts as nothing."""
    raw = f.col(f"{name}_raw")
    digits = f.regexp_extract(raw, r"^([0-9.]+)([KMB]?)$", 1).cast("double")
    unit = f.regexp_extract(raw, r"^([0-9.]+)([KMB]?)$", 2)
    scale = f.when(unit == "K", 1e3).when(unit == "M", 1e6).when(unit == "B", 1e9).otherwise(1.0)
    return f.coalesce(f.col(name), digits * scale, f.lit(0.0))


def scored(events):
    engagement = sum((counter(name) for name in COUNTERS), f.lit(0.0))
    sums = (
        events.withColumn("engagement", engagement)
        .withWatermark("event_time", "5 minutes")
        .groupBy(f.window("event_time", "5 minutes", "1 minute"), "platform", "username")
        .agg(f.sum("engagement").alias("engagement"), f.count("*").alias("events"))
    )
    velocity = f.col("engagement") / 5 * (1 + 0.1 * f.log1p(f.col("events")))
    return sums.withColumn("velocity", velocity)


def writer(port):
    def write_rows(rows):
        connection = redis.Redis(port=port)
        pipe = connection.pipeline(transaction=False)
        for number, row in enumerate(rows, 1):
            pipe.hset(
                f"trending:{row.platform}:{row.username}",
                mapping={
                    "trending_score": round(row.score, 2),
                    "velocity": row.velocity,
                    "total_engagement": row.engagement,
                    "event_count": row.events,
                    "window_end": row.window_end,
                },
            )
            pipe.zadd(f"ranking:{row.platform}:trending", {row.username: row.score})
            if number % BATCH == 0:
                pipe.execute()
        pipe.execute()

    def write_batch(batch, _number):
        newest = f.max_by(f.struct("velocity", "engagement", "events", "window"), "window.end")
        latest = batch.groupBy("platform", "username").agg(newest.alias("last"))
        latest = latest.select("platform", "username", "last.*").persist()
        market = latest.groupBy("platform").agg(f.avg("velocity").alias("market"))
        raw = f.col("velocity") / f.greatest("market", f.lit(1.0))
        score = 100 / (1 + f.exp(-0.8 * (raw - 2)))
        end = f.col("window.end").cast("long")
        rows = latest.join(f.broadcast(market), "platform")
        rows = rows.withColumn("score", score).withColumn("window_end", end).drop("window")
        rows.foreachPartition(write_rows)
        latest.unpersist()

    return write_batch


def main():
    args = arguments()
    spark = session(args)
    spark.sparkContext.setLogLevel("ERROR")
    records = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", args.bootstrap)
        .option("subscribe", args.topic)
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", 500_000)
        .load()
    )
    parsed = f.from_json(f.col("value").cast("string"), FIELDS).alias("event")
    query = (
        scored(records.select(parsed).select("event.*"))
        .writeStream.outputMode("update")
        .foreachBatch(writer(args.redis_port))
        .option("checkpointLocation", args.checkpoint)
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()
    spark.stop()


if __name__ == "__main__":
    main()
