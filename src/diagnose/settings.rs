//! Every threshold of the diagnosis, typed. Values and reasons stand in `rules/*.toml`; a field that is called like a
//! rule is that rule's base confidence.

use serde::Deserialize;

use crate::classify::settings::settings;

settings!(
    /// A box on the way holds video back.
    Stall: f64 {
        cf_1, cf_2, cf_3, cf_4, cf_5, cf_6, cf_12, first_byte_seconds, gone_seconds, give_up_seconds, ticket_bytes, request_bytes,
        answered_bytes, passed_share, body_bytes, body_seconds, sibling_answer_seconds, sibling_within_seconds, sibling,
        attempts, attempts_within_seconds, repeated, plays_later, alone, heartbeat, trickle_segments, trickle_bytes,
        trickle_gap_seconds_min, trickle_gap_seconds_max, trickle_variation, trickle_growth, trickle_bps, baseline_bps,
        baseline_factor, baseline_rate, trickle_segments_alike, less_than_a_head, plateau_bytes, plateau_bps,
        plateau_segments, plateau_variation, alike_share, then_release, release_bytes, release_bytes_least,
        release_hold_seconds, release_after_seconds, release_factor_long, backlog_seconds, backlog_most, stream_bps,
        hold_seconds, release_seconds, release_silence_seconds, release_factor, backlog_share, at_end_seconds, at_end,
        zero_window_seconds, zero_window_bytes, upload_bytes, far_receiver, cycle_lives, cycle_life_share,
        cycle_bytes_share, cycle_timer_share, cycle_timer, cut_again_seconds, cut_live_seconds, foreign_reset,
        near_rtt_seconds, far_rtt_seconds, sign, signs_max, loss_share, cut, pool_holds, pool_hosts,
    }
);
settings!(
    /// Two captures, one each side of a box.
    Legs: f64 {
        cf_9, cf_10, held_bytes, held_seconds, waited_share, passed_share, margin_seconds, released_share, drops,
        drop_bytes, wall_seconds, busy_share, closed_share, missed_share, seen_share, far_share, far_seconds,
        refusal_seconds, near_seconds, opened_seconds, same_share, same_bytes, moments, clock_seconds, apart_seconds,
        messages,
        late_share, with_seconds, pause_seconds, tail_bytes, shrinks_share,
    }
);
settings!(
    /// A box on the way refuses.
    Refused: f64 {
        cf_7, cf_8, cf_11, d_28, d_29, d_33, sealed, refusal_seconds, upload_bytes, gets, cut_seconds, cuts, cut_often,
        continue_seconds, late_seconds, nothing_passes, from_the_host, reset_only, ignored_again, expectation_failed,
        nothing_read, content_from_the_host, known_by_contera, known_perhaps, closes,
    }
);
settings!(
    /// Names do not resolve.
    Names: f64 {
        d_1, d_2, d_3, d_4, d_5, d_38, unanswered_queries, again_seconds, unanswered_seconds, doubtful, optional,
        sinkhole_names, sinkhole_ttl, slow_median_seconds, slow_p95_seconds, slow_times, slow_answers, lone_neighbour,
        bypass_queries,
    }
);
settings!(
    /// Connections are not made.
    Reach: f64 {
        d_6, d_20, d_34, d_35, d_36, d_37, syns, syn_seconds, told, unreachable, doubtful, near_share, near_seconds,
        stranger, scanner, comebacks, knock_seconds, strangers, fallback_seconds, fallback_within_seconds, fallbacks,
        siblings, sibling_seconds, tunnel_failed, tunnel_silent, tunnels, tunnel_seconds,
    }
);
settings!(
    /// TLS fails in its beginning.
    Tls: f64 {
        d_7, d_8, d_9, d_10, d_11, doubtful, reset_seconds, think_seconds, foreign_hops, injected, resets, hello_tries,
        hello_bytes, answer_seconds, give_up_seconds, give_ups, hellos_taken, two_issuers, unrelated, unrelated_domains,
        distrusted, sealed, sealed_alert, sealed_alerts, alike_hosts, again_seconds, skew_seconds,
        skew_plausible_seconds, skew_checked,
    }
);
settings!(
    /// Peer-to-peer.
    P2p: f64 {
        d_13, d_14, d_15, d_16, d_17, d_18, d_19, d_32, stun_seconds, stun_requests, answer_seconds, check_seconds,
        check_requests, twice, mappings, binding_seconds, outside_seen, media_gap_seconds, consent_seconds,
        fallback_seconds, relay_seconds, same_view_seconds, same_view_share, otherwise, knock_seconds,
    }
);
settings!(
    /// The capture itself.
    Capture: f64 {
        d_21, d_22, d_23, d_24, few, duplicate_share, every_interface, duplicate_frames, one_sided_share,
        one_sided_flows, missed_share, missed_bytes, cut_share, encrypted_share, undecoded_share, poor_missed_share,
        poor_cut_share, poor_earlier_share, poor_cap, told_least,
    }
);
settings!(
    /// The network is slow, full or lossy.
    Path: f64 {
        d_25, d_26, d_27, full_seconds, rtt_factor, rtt_more_seconds, rtt_low_factor, rtt_low_more_seconds, loss_share,
        full_size_bytes, full_size_tries, hole_seconds, hole_once, hole_doubtful, samples, repeats, copies_share,
        copies_both,
    }
);
settings!(
    /// The recorder's own set-up.
    Recorder: f64 {
        d_12, d_30, d_31, d_39, d_40, d_41, moved_once, moved_seconds, in_order, life_seconds, sent_bytes, ntp_requests,
        ntp_seconds, watch_seconds, reconnects, reconnect_seconds, region_rtt_factor, region_told, macs, near_seconds,
        near_routers, mac_changes,
    }
);

settings!(
    /// Attempts to view, the allow-list, the bandwidth.
    Views: f64 {
        retry_seconds, next_seconds, stun_seconds, same_leg_seconds, same_leg_share, same_view_share, reply_seconds,
        request_factor, rate_seconds, alike_factor, baseline_seconds, day_seconds, upload_bytes, clip_seconds,
    }
);

/// The settings of all families.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Settings {
    pub stall: Stall,
    pub legs: Legs,
    pub refused: Refused,
    pub names: Names,
    pub reach: Reach,
    pub tls: Tls,
    pub p2p: P2p,
    pub capture: Capture,
    pub path: Path,
    pub recorder: Recorder,
    pub views: Views,
}
