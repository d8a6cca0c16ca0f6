//! A table of metrics: one row has the name, type, labels and help of a metric, and the macro makes its declaration and
//! its description from it.

use std::borrow::Cow;
use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Metric;

pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::metrics::gauge::Gauge;
pub use prometheus_client::metrics::histogram::Histogram;
pub use prometheus_client::registry::Registry;

/// Upper bounds of histogram buckets in seconds: from the fetch of a voice note to the end of the retry ladder.
const BUCKETS_S: [f64; 14] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0];

/// A counter of fractional values, such as seconds.
pub type FloatCounter = Counter<f64, AtomicU64>;

/// Declares a struct `$table` with a [`Set`] for each row, which `register` creates, and a constant `$all` with their
/// descriptions.
macro_rules! metrics {
    ($table:ident, $all:ident: $( $field:ident: $kind:ty, $name:literal, [$($label:literal),*], $help:literal; )*) => {
        const $all: &[$crate::runtime::metrics::Described] = &[ $( $crate::runtime::metrics::Described {
            name: $name,
            kind: <$kind as $crate::runtime::metrics::Shape>::WORD,
            labels: &[$($label),*],
            help: $help,
        }, )* ];

        #[derive(Debug)]
        struct $table {
            $( $field: $crate::runtime::metrics::Set<$kind, { <[&str]>::len(&[$($label),*]) }>, )*
        }

        impl $table {
            fn register(registry: &mut $crate::runtime::metrics::Registry) -> Self {
                $( let $field = $crate::runtime::metrics::Set::register(registry, $name, [$($label),*], $help); )*
                Self { $( $field, )* }
            }
        }
    };
}
pub(crate) use metrics;

/// A type of metric.
pub trait Shape: Metric + Clone {
    /// Its word in a `# TYPE` line.
    const WORD: &'static str;
    /// Creates one at zero.
    fn make() -> Self;
}

impl Shape for Counter {
    const WORD: &'static str = "counter";
    fn make() -> Self {
        Self::default()
    }
}

impl Shape for FloatCounter {
    const WORD: &'static str = "counter";
    fn make() -> Self {
        Self::default()
    }
}

impl Shape for Gauge {
    const WORD: &'static str = "gauge";
    fn make() -> Self {
        Self::default()
    }
}

impl Shape for Histogram {
    const WORD: &'static str = "histogram";
    fn make() -> Self {
        Self::new(BUCKETS_S)
    }
}

/// Names and values of labels.
type Labels<const N: usize> = [(&'static str, Cow<'static, str>); N];

/// A metric with all combinations of its label values.
#[derive(Debug)]
pub struct Set<M, const N: usize> {
    labels: [&'static str; N],
    family: Family<Labels<N>, M, fn() -> M>,
}

impl<M, const N: usize> Set<M, N>
where
    M: Shape,
    Family<Labels<N>, M, fn() -> M>: Metric,
{
    pub(crate) fn register(registry: &mut Registry, name: &str, labels: [&'static str; N], help: &str) -> Self {
        let family = Family::new_with_constructor(M::make as fn() -> M);
        // The encoder adds both again.
        let (name, help) = (name.strip_suffix("_total").unwrap_or(name), help.trim_end_matches('.'));
        registry.register(name, help, family.clone());
        Self { labels, family }
    }

    /// The metric with these label values, given in the table's order.
    pub(crate) fn at<V: Into<Cow<'static, str>>>(&self, values: [V; N]) -> M {
        let mut values = values.into_iter().map(Into::into);
        let labels = self.labels.map(|label| (label, values.next().unwrap_or_default()));
        self.family.get_or_create_owned(&labels)
    }

    /// Removes all label values.
    pub(crate) fn clear(&self) {
        self.family.clear();
    }
}
