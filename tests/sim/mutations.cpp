#include "tests/sim/mutations.hpp"

#include <cstdio>

namespace marmot::sim {

namespace {

constexpr uint64_t kSeeds = 40;               // in which a mutation has to be seen
constexpr uint64_t kFirst[] = {1, 1001, 2001};  // from each of these on: not by luck

// What is switched on so that a broken rule has something to break; the checkers are the ordinary ones.
using Tune = void (*)(Profile&);

struct Case {
  const char* name;
  Mutation mutation;
  Tune tune;
};

void collide(Profile& p) { p.write_ms = 4; p.tick_ms = 20; p.clock_ms = 0; p.drift_ppm = 0; p.nodes = 3; p.clock_grain_ms = 200; p.atomic_rows = 0; p.pairs = 900; }
// The same, and two such transactions of two nodes are under way at once, with other rows between their halves.
void overlap(Profile& p) {
  collide(p);
  p.nodes = 4;
  p.delay_ms = 60;
  p.between = 6;
  p.transactions = 300;
  p.restore_ms = p.join_ms = p.stream_tail_ms = p.stream_new_ms = 0;
}
void victims(Profile& p) {
  Profile quiet;
  quiet.unique = quiet.drain_each = true;
  quiet.scrub = false;
  quiet.nodes = p.nodes;
  p = quiet;
}
void crash(Profile& p) { p.agent_crash = 60; p.scrub = p.unique = false; }
void parts(Profile& p) { p.max_message = 300; p.atomic_rows = 0; }
void acks(Profile& p) { p.lost_acks = 100; p.leader_ms = 400; p.tick_ms = 5; p.clock_ms = p.restore_ms = 0; }
void clocks(Profile& p) { p.clock_ms = 500; }
void stream_back(Profile& p) { p.stream_tail_ms = 600; p.power = 0; p.restore_ms = 0; p.repair_ms = p.damage_ms = 0; }
void stream_anew(Profile& p) { p.stream_new_ms = 900; p.away_ms = 600; p.scrub = p.unique = false; p.power = 0; p.restore_ms = 0; }
void failing(Profile& p) { p.spell = 100; p.io_errors = 40; }
// Nodes are away for longer than the stream remembers; nothing but a snapshot helps.
void gaps(Profile& p) {
  p.snapshot_ms = 300;
  p.trim_ms = 400;
  p.trim_beyond = true;
  p.away_ms = 1000;
  p.stream_new_ms = p.stream_tail_ms = 0;
  p.failing_effects = false;
}
// Snapshots bring much at once, of transactions that write to two tables.
void merges(Profile& p) { gaps(p); p.atomic_rows = 0; p.slice_us = 0; p.pairs = 900; p.nodes = 3; p.write_ms = 20; p.lose_ms = 0; }
void floors(Profile& p) { p.floor_ms = 150; p.away_ms = 600; p.scrub = p.unique = false; p.write_ms = 10; }
// Nodes that hear and are not heard: what they have sent lands behind a floor that it knew nothing of.
void fences(Profile& p) {
  floors(p);
  p.away_ms = p.stream_new_ms = p.stream_tail_ms = p.clock_ms = p.drift_ppm = 0;
  p.power = 0;
  p.nodes = 4;
  p.tick_ms = 10;
  p.delay_ms = 60;
  p.partition_ms = 250;
  p.transactions = 300;
  p.floor_ms = 50;
}
void shelves(Profile& p) { p.unique = p.keep_losers = true; p.write_ms = 10; p.transactions = 300; p.delay_ms = 60; }
void no_scrub(Profile& p) { p.scrub = p.unique = false; }
void rebuilds(Profile& p) { p.rebuild = 60; p.scrub = false; }
// Nodes that write all the time and are never at the same message.
void compared(Profile& p) {
  Profile quiet;
  quiet.nodes = p.nodes;
  quiet.transactions = 300;
  quiet.write_ms = 40;
  quiet.tick_ms = 60;
  quiet.delay_ms = 60;
  quiet.repair_ms = 100;
  p = quiet;
}
void damaged(Profile& p) {
  p.repair_ms = 300;
  p.damage_ms = 150;
}
// Schema changes all the time, which meet each other and rows that were made without them.
void schemas(Profile& p) {
  Profile quiet;
  quiet.nodes = 3;
  quiet.transactions = 300;
  quiet.write_ms = 15;
  quiet.tick_ms = 30;
  quiet.delay_ms = 60;
  quiet.moving = 800;
  quiet.ddl = 150;
  p = quiet;
}
// ... and objects of different kinds want one name.
void kinds(Profile& p) {
  schemas(p);
  p.kinds = 600;
  p.watch_drops = true;
}
// The stream loses what it had acknowledged just before.
void tails(Profile& p) { p.stream_tail_ms = 300; p.delay_ms = 60; p.tick_ms = 40; p.stream_new_ms = p.restore_ms = 0; p.power = 0; }
void effects(Profile& p) { p.failing_effects = true; }
// Nodes that write, and to which nothing happens.
Profile quiet(const Profile& p) {
  Profile out;
  out.nodes = p.nodes;
  out.transactions = 200;
  out.write_ms = 20;
  return out;
}
// Somebody else writes into the stream, and messages come to harm on their way there.
void strangers(Profile& p) {
  p = quiet(p);
  p.foreign_ms = 400;
  p.damaged_messages = 10;
}
// Messages are gone from the middle of the stream before all have read them; nothing else than that makes nodes compare what they hold.
void gone(Profile& p) {
  p = quiet(p);
  p.delay_ms = 60;
  p.lose_ms = 300;
  p.away_ms = 800;
}
// Files of all three encodings.
void wide(Profile& p) { p.wide = 600; }
// Tools make files anew whose rows have no key, and the scrub does not put right what comes of it.
void copies(Profile& p) {
  p = quiet(p);
  p.copied_ms = 300;
  p.scrub = false;
}
// Tombstones are pruned, and then the stream loses its tail with the deletions, or all of it.
void pruned(Profile& p) {
  p = quiet(p);
  p.transactions = 300;
  p.tick_ms = 10;
  p.floor_ms = 50;
  p.stream_tail_ms = 200;
}
// Rowids are used again while nobody remembers who had them: tombstones are pruned, files are put back.
void reused(Profile& p) {
  p = quiet(p);
  p.nodes = 4;
  p.transactions = 400;
  p.tick_ms = 10;
  p.delay_ms = 60;
  p.floor_ms = 50;
  p.away_ms = 400;
  p.restore_ms = 400;
  p.reuse = p.watch_names = true;
}
// What came too late for a floor is lost with its sender's file before the sender repeats it.
void late(Profile& p) {
  p = quiet(p);
  p.transactions = 600;
  p.nodes = 4;
  p.tick_ms = 10;
  p.delay_ms = 60;
  p.partition_ms = 150;
  p.floor_ms = 60;
  p.restore_ms = 60;
  p.restore_plain = true;
}
// Machines are cloned while they run, and half of what agents say of that is lost.
void clones(Profile& p) {
  p = quiet(p);
  p.clone_ms = 300;
  p.lost_alive = 500;
}
// Moving tables are STRICT or WITHOUT ROWID.
void shapes(Profile& p) { schemas(p); p.shapes = 1000; }
// Migrations give moving tables other primary keys, and take rows away.
void rekeys(Profile& p) { schemas(p); p.ddl = 300; p.rekeys = 1000; p.write_ms = 60; p.delay_ms = 20; p.transactions = 200; }
// Ids are dealt; nodes write all the time, and nothing befalls them but what the case says.
void ids(Profile& p) {
  p = quiet(p);
  p.nodes = 3;
  p.transactions = 300;
  p.write_ms = 40;
  p.delay_ms = 60;
  p.ids = true;
}
// A file is put back in place again and again, while its node goes on inserting.
void ids_restored(Profile& p) { ids(p); p.restore_ms = 500; p.restore_plain = true; }
void ids_retired(Profile& p) { ids(p); p.watch_ids = true; p.nodes = 4; p.write_ms = 120; p.away_ms = 100; p.retire_ms = 10; p.join_ms = 60; p.transactions = 900; }
void adoptions(Profile& p) { schemas(p); p.ids = true; p.adopt_ms = 150; }
// Rows collide, and operators discard what lost.
void discards(Profile& p) {
  p = quiet(p);
  p.nodes = 3;
  p.unique = true;
  p.write_ms = 10;
  p.delay_ms = 60;
  p.transactions = 300;
  p.discard_ms = 50;
}
void untriggered(Profile& p) { p = quiet(p); p.untrigger_ms = 200; }
// Clocks that are an hour off, and right again, and off.
void wrong_clocks(Profile& p) {
  p = quiet(p);
  p.nodes = 3;
  p.transactions = 400;
  p.delay_ms = 40;
  p.clocks = true;
  p.clock_ms = 150;
}
// ... and nobody refuses their stamps, until an operator has clocks reset, while nodes are cut off.
void poisoned(Profile& p) { wrong_clocks(p); p.clock_ms = 200; p.reset_ms = 1500; p.partition_ms = 400; p.transactions = 800; }
// ... on connections that break.
void clocks_anew(Profile& p) { wrong_clocks(p); p.leader_ms = 300; }
// Transactions change the schema and rows, and a sender may die between the messages of one.
void halves(Profile& p) { p = quiet(p); p.nodes = 3; p.halves = 300; p.delay_ms = 60; p.agent_crash = 20; }
void none(Profile&) {}

const Case kCases[] = {
    {"version_check", Mutation::version_check, collide},
    {"node_tie_break", Mutation::node_tie_break, collide},
    {"skipped_drain", Mutation::skipped_drain, collide},
    {"log_deleted_first", Mutation::log_deleted_first, crash},
    {"cursor_elsewhere", Mutation::cursor_elsewhere, crash},
    {"victim_missed", Mutation::victim_missed, victims},
    {"old_key_unlogged", Mutation::old_key_unlogged, no_scrub},
    {"parts_singly", Mutation::parts_singly, parts},
    {"stream_back_unnoticed", Mutation::stream_back_unnoticed, stream_back},
    {"hlc_not_raised", Mutation::hlc_not_raised, clocks},
    {"gap_skipped", Mutation::gap_skipped, gaps},
    {"snapshot_overwrites", Mutation::snapshot_overwrites, gaps},
    {"tombstone_early", Mutation::tombstone_early, fences},
    {"tombstone_by_clock", Mutation::tombstone_by_clock, floors},
    {"shelf_not_revisited", Mutation::shelf_not_revisited, shelves},
    {"rebuild_not_compared", Mutation::rebuild_not_compared, rebuilds},
    {"user_triggers", Mutation::user_triggers, none},
    {"ack_before_persist", Mutation::ack_before_persist, failing},
    {"incarnation_reused", Mutation::incarnation_reused, crash},
    {"cursor_without_stream", Mutation::cursor_without_stream, stream_anew},
    {"hlc_per_row", Mutation::hlc_per_row, overlap},
    {"units_out_of_order", Mutation::units_out_of_order, acks},
    {"compare_without_positions", Mutation::compare_without_positions, compared},
    {"repair_not_published", Mutation::repair_not_published, damaged},
    {"schema_version_check", Mutation::schema_version_check, schemas},
    {"default_not_filled", Mutation::default_not_filled, schemas},
    {"forgotten_when_stored", Mutation::forgotten_when_stored, tails},
    {"lost_unit_forgotten", Mutation::lost_unit_forgotten, strangers},
    {"gone_not_compared", Mutation::gone_not_compared, gone},
    {"effect_blamed", Mutation::effect_blamed, effects},
    {"copied_rows_unmatched", Mutation::copied_rows_unmatched, copies},
    {"kind_unchecked", Mutation::kind_unchecked, kinds},
    {"text_by_sqlite", Mutation::text_by_sqlite, wide},
    {"short_hash", Mutation::short_hash, none},
    {"pruned_forgotten", Mutation::pruned_forgotten, pruned},
    {"names_undated", Mutation::names_undated, reused},
    {"refused_forgotten", Mutation::refused_forgotten, late},
    {"twin_only_logged", Mutation::twin_only_logged, clones},
    {"tail_forgotten", Mutation::tail_forgotten, shapes},
    {"rekey_untold", Mutation::rekey_untold, rekeys},
    {"ids_stay", Mutation::ids_stay, ids},
    {"ids_moved_apart", Mutation::ids_moved_apart, ids},
    {"slot_taken_twice", Mutation::slot_taken_twice, ids},
    {"geometry_unapplied", Mutation::geometry_unapplied, ids},
    {"ids_not_ahead", Mutation::ids_not_ahead, ids_restored},
    {"retired_slot_at_once", Mutation::retired_slot_at_once, ids_retired},
    {"adopted_word_seen", Mutation::adopted_word_seen, adoptions},
    {"adoption_once", Mutation::adoption_once, adoptions},
    {"schema_unasked", Mutation::schema_unasked, untriggered},
    {"clock_unprobed", Mutation::clock_unprobed, clocks_anew},
    {"misdated_applied", Mutation::misdated_applied, wrong_clocks},
    {"reset_spares_tombstones", Mutation::reset_spares_tombstones, poisoned},
    {"overruled_forgotten", Mutation::overruled_forgotten, wrong_clocks},
    {"handled_untold", Mutation::handled_untold, discards},
    {"schema_apart", Mutation::schema_apart, halves},
    {"merge_in_pieces", Mutation::merge_in_pieces, merges},
};

const Case* find(const std::string& name) {
  for (const Case& item : kCases) {
    if (name == item.name) return &item;
  }
  return nullptr;
}

void activate([[maybe_unused]] Mutation mutation) {
#ifdef MARMOT_MUTATIONS
  active_mutation = mutation;
#endif
}

Outcome run_one(uint64_t seed, const Case* tuned, bool broken, bool print) {
  Random of_profile(mix64(seed ^ 0x9f0f11e));
  Profile profile = Profile::draw(of_profile);
  profile = sensible(profile);
  if (tuned != nullptr) profile.clocks = false, profile.reset_ms = 0;  // what a mutation is found by was found before clocks were judged
  if (tuned != nullptr) tuned->tune(profile);
  activate(broken ? tuned->mutation : Mutation::none);
  World world(seed, profile, print);
  return world.run();
}

}  // namespace

bool know_mutation(const std::string& name) {
#ifdef MARMOT_MUTATIONS
  return find(name) != nullptr;
#else
  (void)name;
  return false;
#endif
}

void break_rule(const std::string& name) { activate(find(name)->mutation); }

Outcome run_seed(uint64_t seed, const std::string& mutation, bool unbroken, bool print) {
  const Case* const item = find(mutation);
  return run_one(seed, item, item != nullptr && !unbroken, print);
}

int run_mutations() {
#ifndef MARMOT_MUTATIONS
  std::fprintf(stderr, "this build has no mutations: use run_mutated\n");
  return 2;
#endif
  int failed = 0;
  for (const Case& item : kCases) {
    std::string seeds, by, wrong;
    for (const uint64_t first : kFirst) {
      uint64_t caught = 0;
      for (uint64_t seed = first; seed < first + kSeeds && caught == 0; ++seed) {
        const Outcome outcome = run_one(seed, &item, true, false);
        if (outcome.failure.empty()) continue;
        caught = seed;
        by = outcome.failure;
        seeds += (seeds.empty() ? "" : ", ") + std::to_string(seed);
      }
      if (caught == 0) wrong = "survived " + std::to_string(kSeeds) + " seeds from " + std::to_string(first) + ": a hole in the checkers";
      for (uint64_t seed = first; seed <= caught && wrong.empty(); ++seed) {
        const Outcome unbroken = run_one(seed, &item, false, false);
        if (!unbroken.failure.empty()) wrong = "seed " + std::to_string(seed) + " fails without it too: " + unbroken.failure;
      }
      if (!wrong.empty()) break;
    }
    failed += wrong.empty() ? 0 : 1;
    if (wrong.empty()) std::printf("passed  %-24s caught by seeds %s: %s\n", item.name, seeds.c_str(), by.c_str());
    else std::printf("failed  %-24s %s\n", item.name, wrong.c_str());
    std::fflush(stdout);
  }
  std::printf("%zu passed, %d failed, 0 skipped\n", std::size(kCases) - static_cast<size_t>(failed), failed);
  return failed == 0 ? 0 : 1;
}

}  // namespace marmot::sim
