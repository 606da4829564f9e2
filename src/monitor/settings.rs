//! At what intervals things are told. Values and reasons stand in `settings.toml`.

use crate::classify::settings::settings;

settings!(
    /// At what intervals things are told, in seconds of packet time, and what is kept for how long.
    Settings: f64 {
        /// Between two records of a flow that goes on.
        interim_seconds,
        /// Between two records of the run's counts.
        stats_seconds,
        /// Between two records of what the capture is worth.
        quality_seconds,
        /// Without news, and with its flows over, what was found is over.
        quiet_seconds,
        /// A flow that was told is kept for that long.
        linger_seconds,
        /// A flow of the system that was told is kept for that long.
        system_seconds,
        /// How many of them.
        system_flows,
        /// Answers of DNS are kept for that long.
        answers_seconds,
        /// The newest answer to each client for each name is kept for that long.
        names_seconds,
        /// How often it is looked for what can be let go.
        let_go_seconds,
        /// What is at least to be let go at a time, in flows.
        let_go_flows,
        /// How many flows of the system are judged anew each second; more are judged every other second.
        tick_flows,
        /// How many of them cost another second between two ticks.
        tick_flows_most,
    }
);

impl Settings {
    /// The settings that come with the program.
    ///
    /// # Errors
    /// None, as a test makes sure.
    pub fn embedded() -> Result<Settings, toml::de::Error> {
        toml::from_str(include_str!("settings.toml"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_settings_are_sound() {
        let settings = Settings::embedded().unwrap();
        assert!(settings.interim_seconds > settings.stats_seconds && settings.stats_seconds >= 1.0);
    }
}
