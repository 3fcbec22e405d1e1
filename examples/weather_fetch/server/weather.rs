//! The weather that the embedded server makes up: twenty stations, 23 to 34 degrees, warmest in the early afternoon.
//!
//! Every reading is a function of its date, station and minute, so that whoever holds a fetched day can check it.

use jiff::civil::Date;

/// Id, name, latitude, longitude. The names are made up.
pub(crate) const STATIONS: [(&str, &str, f64, f64); 20] = [
    ("G01", "North Quay", 1.4431, 103.7854),
    ("G02", "Reservoir Park", 1.3764, 103.8492),
    ("G03", "Old Lighthouse", 1.256, 103.679),
    ("G04", "Clock Tower", 1.3337, 103.7768),
    ("G05", "East Beach", 1.3135, 103.9625),
    ("G06", "Tannery Lane", 1.3399, 103.8878),
    ("G07", "Garden Gate", 1.2799, 103.8703),
    ("G08", "University Hill", 1.3458, 103.6817),
    ("G09", "West Orchard", 1.3729, 103.7224),
    ("G10", "Granite Island", 1.4168, 103.9673),
    ("G11", "Airfield", 1.3524, 103.9007),
    ("G12", "South Landfill", 1.189, 103.768),
    ("G13", "Mangrove Walk", 1.4173, 103.8249),
    ("G14", "Central Library", 1.35, 103.82),
    ("G15", "Shipyard", 1.2938, 103.6184),
    ("G16", "Runway End", 1.3678, 103.9826),
    ("G17", "Harbour View", 1.281, 103.754),
    ("G18", "Border Post", 1.4439, 103.7854),
    ("G19", "Pine Road", 1.4172, 103.7486),
    ("G20", "Lagoon", 1.25, 103.8279),
];

pub(crate) const MINUTES_A_DAY: u32 = 24 * 60;

/// One station's readings of one day.
pub(crate) struct Curve {
    seed: u64,
    mean: f32,
    swing: f32,
}

impl Curve {
    pub(crate) fn new(date: Date, station: usize) -> Self {
        let day = u64::from(date.year().unsigned_abs()) * 1000 + date.day_of_year().unsigned_abs() as u64;
        let seed = mix(day << 8 | station as u64);
        let mean = 27.6 + unit(mix(day)) + 0.8 * unit(mix(station as u64));
        Self { seed, mean, swing: 2.6 + 0.8 * unit(seed) }
    }

    /// In tenths of a degree; none while the station is silent, which it is now and then for ten minutes.
    pub(crate) fn tenths(&self, minute: u32) -> Option<u32> {
        let spell = |n: u32| mix(self.seed ^ u64::from(n) << 32);
        if spell(minute / 10).is_multiple_of(150) {
            return None;
        }
        // Air changes slowly: a new deviation every quarter of an hour, a straight line between.
        let (quarter, part) = (minute / 15, (minute % 15) as f32 / 15.0);
        let (from, to) = (unit(spell(1000 + quarter)), unit(spell(1001 + quarter)));
        let drift = 0.35 * (from + (to - from) * part);
        let flicker = 0.06 * unit(spell(5000 + minute));
        let celsius = self.mean + self.swing * warmth(minute) + drift + flicker;
        Some((celsius.clamp(23.0, 34.0) * 10.0).round() as u32)
    }
}

/// -1 at half past six in the morning, 1 at half past one in the afternoon, two half waves of a cosine between.
fn warmth(minute: u32) -> f32 {
    const COLDEST: u32 = 6 * 60 + 30;
    const WARMEST: u32 = 13 * 60 + 30;
    let since = (minute + MINUTES_A_DAY - COLDEST) % MINUTES_A_DAY;
    let rise = WARMEST - COLDEST;
    let turn = if since < rise {
        since as f32 / rise as f32
    } else {
        1.0 + (since - rise) as f32 / (MINUTES_A_DAY - rise) as f32
    };
    -(turn * std::f32::consts::PI).cos()
}

/// Spreads the bits of a number over all bits (the finaliser of SplitMix64).
pub(crate) fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// From -1 to 1.
fn unit(bits: u64) -> f32 {
    (bits >> 40) as f32 / (1 << 23) as f32 - 1.0
}
