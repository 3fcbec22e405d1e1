//! [`Record`]: what is logged in a worker process, on its way to the logger of the process that it works for.

use super::INSIDE;
use crate::contain::contain;
use log::{Level, LevelFilter, Metadata};
use std::borrow::Cow;

/// A log record that has left its process, or is about to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Record<'a> {
    /// From 1, an error, to 5, a trace.
    pub(crate) level: u8,
    pub(crate) target: Cow<'a, str>,
    pub(crate) module: Option<Cow<'a, str>>,
    pub(crate) file: Option<Cow<'a, str>>,
    pub(crate) line: Option<u32>,
    pub(crate) text: Cow<'a, str>,
    /// Its keys and their values, as text.
    pub(crate) pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// What this process logs at most: from 0, nothing, to 5.
pub(crate) fn level() -> u8 {
    log::max_level().min(log::STATIC_MAX_LEVEL) as u8
}

/// From now on each record of this process up to `level` is given to `give`, on the thread that logs and with no lock of the
/// crate's held; unless the program has set a logger by now: then that one stays.
pub(crate) fn forward_by(level: u8, give: impl Fn(&Record<'_>) + Send + Sync + 'static) {
    let filters = LevelFilter::iter();
    let Some(level) = filters.into_iter().find(|filter| *filter as u8 == level) else { return };
    if level > LevelFilter::Off && log::set_logger(Box::leak(Box::new(Forwarder { give }))).is_ok() {
        log::set_max_level(level);
    }
}

/// The logger of a worker process.
struct Forwarder<G> {
    give: G,
}

impl<G: Fn(&Record<'_>) + Send + Sync> log::Log for Forwarder<G> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    /// A `Display` that panics does so in whoever logs, as it does with any logger.
    fn log(&self, record: &log::Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let text = record.args().as_str().map_or_else(|| record.args().to_string().into(), Cow::Borrowed);
        let mut pairs = Pairs(Vec::new());
        // It fails only if our own visitor does.
        let _ = record.key_values().visit(&mut pairs);
        (self.give)(&Record {
            level: record.level() as u8,
            target: record.target().into(),
            module: record.module_path().map(Cow::Borrowed),
            file: record.file().map(Cow::Borrowed),
            line: record.line(),
            text,
            pairs: pairs.0,
        });
    }

    /// What was logged is with the kernel.
    fn flush(&self) {}
}

struct Pairs(Vec<(Cow<'static, str>, Cow<'static, str>)>);

impl<'kvs> log::kv::VisitSource<'kvs> for Pairs {
    fn visit_pair(
        &mut self,
        key: log::kv::Key<'kvs>,
        value: log::kv::Value<'kvs>,
    ) -> Result<(), log::kv::Error> {
        self.0.push((key.as_str().to_owned().into(), value.to_string().into()));
        Ok(())
    }
}

/// Gives a record of a worker process to this process's logger, which sees the worker's name as the last part of the target:
/// filters go by how a target begins.
pub(crate) fn forward(record: &Record<'_>, worker: &str) {
    let Some(level) = Level::iter().find(|level| *level as u8 == record.level) else { return };
    if level > log::STATIC_MAX_LEVEL || level > log::max_level() || INSIDE.with(|inside| inside.replace(true))
    {
        return;
    }
    let target = format!("{}::{worker}", record.target);
    let pairs: Vec<(&str, &str)> = record.pairs.iter().map(|(key, value)| (&**key, &**value)).collect();
    let pairs = &pairs[..];
    let metadata = Metadata::builder().level(level).target(&target).build();
    // A panic in it goes no further, as everywhere in here.
    drop(contain(|| {
        let logger = log::logger();
        if logger.enabled(&metadata) {
            logger.log(
                &log::Record::builder()
                    .metadata(metadata)
                    .args(format_args!("{}", record.text))
                    .module_path(record.module.as_deref())
                    .file(record.file.as_deref())
                    .line(record.line)
                    .key_values(&pairs)
                    .build(),
            );
        }
    }));
    INSIDE.with(|inside| inside.set(false));
}
