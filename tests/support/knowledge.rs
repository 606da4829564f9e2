//! What captures are judged by, as it comes with the program.

use relayscope::classify::site::Site;
use relayscope::classify::watch::Watch;
use relayscope::diagnose::rules::Rules;
use relayscope::engine::Config;
use relayscope::engine::naming::KnowledgeBase;
use relayscope::monitor::{Monitor, Options, Settings};

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
}
