//! What captures are judged by, as it comes with the program.

use std::path::Path;

use relayscope::classify::site::Site;
use relayscope::classify::watch::Watch;
use relayscope::diagnose::rules::Rules;
use relayscope::engine::Config;
use relayscope::engine::naming::KnowledgeBase;
use relayscope::monitor::{Losses, Monitor, Options, Settings};
use relayscope::present::ndjson::Ndjson;
use relayscope::source::{Chunk, Fill, Source};

/// What every run goes by.
pub struct Knowledge {
    pub base: KnowledgeBase,
    pub rules: Rules,
    pub config: Config,
    pub settings: Settings,
}

impl Knowledge {
    pub fn new() -> Self {
        let base = KnowledgeBase::new(None, Site::default()).unwrap();
        let rules = Rules::embedded().unwrap();
        let flow = relayscope::flow::Config { rates: base.thresholds, ..Default::default() };
        let watch = Watch::of(&base.catalogue).into();
        let config = Config { flow, records: true, watch, secret: 7, ..Config::default() };
        Knowledge { base, rules, config, settings: Settings::embedded().unwrap() }
    }

    /// The same, but that all is judged every other second whatever there is.
    pub fn busy() -> Self {
        let mut knowledge = Knowledge::new();
        knowledge.settings.tick_flows = -1.0;
        knowledge
    }

    pub fn options(&self) -> Options<'_> {
        Options { filter: None, diagnose: true, settings: self.settings, max_memory: None, glances: true }
    }

    pub fn monitor(&self) -> Monitor<'_> {
        self.monitor_with(self.options())
    }

    pub fn monitor_with<'a>(&'a self, options: Options<'a>) -> Monitor<'a> {
        Monitor::new(&self.config, &self.base, &self.rules, options)
    }

    /// What a monitor tells of a capture that is read so many bytes at a time; frame by frame if that is none.
    pub fn told(&self, path: &Path, chunk_bytes: Option<usize>) -> Vec<u8> {
        let mut source = Source::open(&[path.to_owned()], chunk_bytes.unwrap_or(1 << 16));
        let (mut monitor, mut sink, mut chunk) = (self.monitor(), Ndjson::new(Vec::new()), Chunk::default());
        while source.fill(&mut chunk) == Fill::More {
            match chunk_bytes {
                Some(_) => monitor.chunk(&chunk, &mut sink).unwrap(),
                None => {
                    for frame in chunk.frames.iter().filter_map(|at| chunk.frame(at)) {
                        monitor.frame(frame, &mut sink).unwrap();
                        // that somebody looks changes nothing
                        assert!(monitor.look().stats.frames > 0);
                        monitor.renew();
                    }
                }
            }
        }
        let facts = source.facts();
        let (kernel_drops, interface_drops) = (facts.kernel_drops, facts.interface_drops);
        monitor.advance(facts.ended(monitor.now()), &mut sink).unwrap();
        monitor.lose(Losses { kernel_drops, interface_drops, ..Losses::default() });
        monitor.finish(&mut sink).unwrap();
        sink.finish().unwrap()
    }
}
