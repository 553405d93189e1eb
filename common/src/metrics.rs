//! Metrics as Prometheus reads them: base units, `_total` for counters, a line of help for each name.
//!
//! What a process counts by itself, such as errors and lengths of time, is in the registry of the process for as long as
//! something of its labels lives. What follows from how things are now, such as the lag of a job, is put on a [`Page`] when that is
//! requested: no series outlives what it is of.

use std::collections::BTreeMap;

use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, TextEncoder};

/// Upper bounds of what is measured as a distribution: lengths of time, all of them, in seconds.
const SECONDS: [f64; 13] = [
    0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0,
];

/// A name with what it means.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// What Prometheus calls it.
    pub name: &'static str,
    /// One line for people.
    pub help: &'static str,
    kind: MetricType,
}

impl Family {
    /// A number that only grows, until its process or its job begins again.
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        let kind = MetricType::COUNTER;
        Self { name, help, kind }
    }

    /// A number as it is now.
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        let kind = MetricType::GAUGE;
        Self { name, help, kind }
    }

    /// Lengths of time in seconds.
    pub const fn histogram(name: &'static str, help: &'static str) -> Self {
        let kind = MetricType::HISTOGRAM;
        Self { name, help, kind }
    }

    /// Counters of this name in the registry of the process. Called once for each name.
    #[expect(
        clippy::expect_used,
        reason = "names and labels are constants; a test of each process renders them"
    )]
    pub fn counters(&self, labels: &[&str]) -> IntCounterVec {
        let counters = IntCounterVec::new(Opts::new(self.name, self.help), labels);
        let counters = counters.expect("a name and labels that Prometheus takes");
        prometheus::register(Box::new(counters.clone())).expect("a name that is registered once");
        counters
    }

    /// Histograms of this name in the registry of the process. Called once for each name.
    #[expect(
        clippy::expect_used,
        reason = "names and labels are constants; a test of each process renders them"
    )]
    pub fn histograms(&self, labels: &[&str]) -> HistogramVec {
        let opts = HistogramOpts::new(self.name, self.help).buckets(SECONDS.to_vec());
        let histograms = HistogramVec::new(opts, labels);
        let histograms = histograms.expect("a name and labels that Prometheus takes");
        prometheus::register(Box::new(histograms.clone())).expect("a name that is registered once");
        histograms
    }
}

/// Defines the families of a process, and `FAMILIES`, which lists them: `LAG gauge "kol_lag_records" "Records …";`
#[macro_export]
macro_rules! families {
    ($($id:ident $kind:ident $name:literal $help:literal;)*) => {
        $(const $id: $crate::metrics::Family = $crate::metrics::Family::$kind($name, $help);)*
        /// All of them that follow from how things are.
        pub const FAMILIES: &[$crate::metrics::Family] = &[$($id),*];
    };
}

/// The version of every process.
pub const BUILD_INFO: Family =
    Family::gauge("kol_build_info", "1, with the version of the process.");

/// What `/metrics` shows.
#[derive(Debug, Default)]
pub struct Page {
    families: BTreeMap<&'static str, MetricFamily>,
}

impl Page {
    /// Of a process of this version.
    pub fn new(version: &str) -> Self {
        let mut page = Self::default();
        page.add(&BUILD_INFO, &[("version", version)], 1.0);
        page
    }

    /// Adds a series.
    pub fn add(&mut self, family: &Family, labels: &[(&str, &str)], value: f64) {
        let labels = labels.iter().map(|(name, value)| {
            let mut label = LabelPair::default();
            label.set_name((*name).to_owned());
            label.set_value((*value).to_owned());
            label
        });
        let mut metric = Metric::from_label(labels.collect());
        if family.kind == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        let entry = self.families.entry(family.name).or_insert_with(|| {
            let mut new = MetricFamily::default();
            new.set_name(family.name.to_owned());
            new.set_help(family.help.to_owned());
            new.set_field_type(family.kind);
            new
        });
        entry.mut_metric().push(metric);
    }

    /// The text, with what the process counted by itself.
    pub fn render(self) -> String {
        let mut all = prometheus::gather();
        all.extend(self.families.into_values());
        // Its only errors are families without a name or a series.
        TextEncoder::new()
            .encode_to_string(&all)
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_help_and_type_of_each_name_once_and_escapes_labels() {
        let lag = Family::gauge("kol_test_lag_records", "Records that are not read.");
        let read = Family::counter("kol_test_events_total", "Events that were read.");
        let mut page = Page::new("1.2.3");
        page.add(&lag, &[("job_name", "a")], 7.0);
        page.add(&read, &[("job_name", "a\"b\n")], 9.0);
        page.add(&lag, &[("job_name", "b")], 0.5);
        let text = page.render();
        for line in [
            "# HELP kol_test_lag_records Records that are not read.\n",
            "# TYPE kol_test_lag_records gauge\n",
            "kol_test_lag_records{job_name=\"a\"} 7\n",
            "kol_test_lag_records{job_name=\"b\"} 0.5\n",
            "# TYPE kol_test_events_total counter\n",
            "kol_test_events_total{job_name=\"a\\\"b\\n\"} 9\n",
            "kol_build_info{version=\"1.2.3\"} 1\n",
        ] {
            assert_eq!(text.matches(line).count(), 1, "{line} in {text}");
        }
    }

    #[test]
    fn series_that_are_removed_from_the_registry_are_gone_from_the_page() {
        let pauses = Family::histogram("kol_test_pause_seconds", "How long a test paused.");
        let pauses = pauses.histograms(&["job_name"]);
        pauses.with_label_values(&["a"]).observe(0.3);
        pauses.with_label_values(&["b"]).observe(0.3);
        let series = |name: &str| {
            let wanted = format!("kol_test_pause_seconds_count{{job_name=\"{name}\"}} 1\n");
            Page::default().render().contains(&wanted)
        };
        assert!(series("a") && series("b"));
        pauses.remove_label_values(&["a"]).unwrap();
        assert!(!series("a") && series("b"));
    }
}
