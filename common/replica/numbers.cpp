// The numbers in the file's header: what the application changed becomes a register, and the file gets what the registers say.
#include "common/replica/numbers.hpp"

#include <algorithm>

#include "common/replica/engine.hpp"

namespace marmot::replica {

namespace {

std::vector<Version> replaced_by(const SchemaRegister& number) { return unspell_replaced(number.body); }

// Those of both lists, of each node the later one.
std::vector<Version> replaced_by_either(const SchemaRegister& a, const SchemaRegister& b) {
  std::vector<Version> out = replaced_by(a);
  for (const Version& version : replaced_by(b)) {
    const auto same = std::find_if(out.begin(), out.end(), [&](const Version& one) { return one.origin.node == version.origin.node; });
    if (same == out.end()) out.push_back(version);
    else *same = std::max(*same, version);
  }
  return out;
}

// Was `one` known to whoever made `by`?
bool replaces(const SchemaRegister& by, const SchemaRegister& one) {
  const std::vector<Version> replaced = replaced_by(by);
  return std::any_of(replaced.begin(), replaced.end(), [&](const Version& version) {
    return version.origin.node == one.version.origin.node && version >= one.version;
  });
}

std::string former_number_id(std::string_view name, NodeId node) { return number_id(name, node) + " former"; }

std::string spoken(const HeaderNumber& number, int32_t value) { return std::string(number.name) + " " + std::to_string(value); }

}  // namespace

std::string number_id(std::string_view name, NodeId node) { return std::string(name) + ' ' + to_hex(node.value); }

int32_t number_of(const SchemaRegister& number) { return static_cast<int32_t>(static_cast<uint32_t>(number.position)); }

void set_number(SchemaRegister& number, int64_t value) { number.position = static_cast<uint32_t>(static_cast<int32_t>(value)); }

std::string spell_replaced(const std::vector<Version>& versions) {
  std::string out;
  for (const Version& version : versions) out += (out.empty() ? "" : " ") + spell_version(version);
  return out;
}

std::vector<Version> unspell_replaced(std::string_view body) {
  std::vector<Version> out;
  while (!body.empty()) {
    const size_t end = std::min(body.find(' '), body.size());
    out.push_back(unspell_version(body.substr(0, end)));
    body.remove_prefix(std::min(end + 1, body.size()));
  }
  return out;
}

const SchemaRegister* standing_number(const HeaderNumber& number, const std::vector<const SchemaRegister*>& registers) {
  std::vector<Version> replaced;
  bool met = false;
  for (const SchemaRegister* const one : registers) {
    met = met || one->version != Version{};
    for (const Version& version : replaced_by(*one)) replaced.push_back(version);
  }
  const auto is_out = [&](const SchemaRegister& one) {
    if (one.version == Version{}) return met && !number.counts;
    return std::any_of(replaced.begin(), replaced.end(), [&](const Version& version) {
      return version.origin.node == one.version.origin.node && version >= one.version;
    });
  };
  const SchemaRegister* best = nullptr;
  bool best_is_out = true;
  for (const SchemaRegister* const one : registers) {
    const bool out = is_out(*one);
    const bool higher = best != nullptr && number_of(*one) > number_of(*best);
    // All of them out is nothing that nodes make of each other's registers; the rule is total all the same.
    if (best != nullptr && (out != best_is_out ? out : !higher)) continue;
    best = one;
    best_is_out = out;
  }
  return best;
}

const SchemaRegister* Replica::Impl::standing(const HeaderNumber& number) const {
  std::vector<const SchemaRegister*> values;
  for (const Registers::Entry* const entry : registers.numbers(number.name)) values.push_back(&entry->value);
  return standing_number(number, values);
}

Result<bool> Replica::Impl::numbers_moved() {
  for (const HeaderNumber& number : kHeaderNumbers) {
    TRY_ASSIGN(const int64_t now, store.integer(number.read));
    TRY_ASSIGN(const auto seen, store.meta_integer(number.seen_meta));
    if (!seen || *seen != now) return true;
  }
  return false;
}

// .dump and .clone leave the header's numbers out: nobody has set them to nothing.
Status Replica::Impl::put_back_numbers() {
  for (const HeaderNumber& number : kHeaderNumbers) {
    TRY_ASSIGN(const int64_t now, store.integer(number.read));
    TRY_ASSIGN(const auto seen, store.meta_integer(number.seen_meta));
    if (now == 0 && seen.value_or(0) != 0) TRY(db.exec(std::string(number.read) + " = " + std::to_string(*seen)));
  }
  return ok();
}

Status Replica::Impl::note_numbers() {
  for (const HeaderNumber& number : kHeaderNumbers) {
    TRY_ASSIGN(const int64_t now, store.integer(number.read));
    TRY_ASSIGN(const auto seen, store.meta_integer(number.seen_meta));
    if (seen == now) continue;
    TRY(store.set_meta(number.seen_meta, now));
    TRY(note_number(number, now, seen.has_value()));
  }
  return ok();
}

// `now` stands here, and did not when it was last looked at.
Status Replica::Impl::note_number(const HeaderNumber& number, int64_t now, bool known) {
  tables_dirty = true;
  SchemaRegister mine{SchemaKind::number, {}, std::string(number.name), {}, false, std::string(number.name), {}, 0};
  set_number(mine, now);
  if (registers.find(SchemaKind::number, {}, mine.id) != nullptr) TRY(registers.remove(mine));
  if (!known || state.membership == Membership::none) {  // it stood here before: settle_numbers() says what it counts for
    if (now != 0) TRY(registers.put(mine, std::nullopt));
    return known || state.membership != Membership::member ? ok() : settle_numbers();
  }
  const SchemaRegister* const said = standing(number);
  if (said != nullptr && number_of(*said) == now) return numbers_are_here(number);
  return put_number(number, std::move(mine));
}

// As a change of this node's, made now, of what stood in this file.
Status Replica::Impl::put_number(const HeaderNumber& number, SchemaRegister value) {
  std::vector<Version> replaced;
  for (const Registers::Entry* const entry : registers.numbers(number.name)) {
    if (entry->here && !entry->here->empty()) replaced.push_back(unspell_version(*entry->here));
  }
  value.id = number_id(number.name, self.node);
  value.body = spell_replaced(replaced);
  value.version = Version{state.clock.tick(env.now(), env.now()), self};
  TRY(registers.put(value, std::nullopt));
  return registers.set_here(value, spell_version(value.version));
}

// `told` is this node's own from a former life, and `ours` was made later by a file that did not know of it, for it had been put back. A node has
// one register, so ours took the place of it everywhere. Here it stays beside ours, as another node's would, until settle_former_numbers().
Result<bool> Replica::Impl::keep_former_number(const SchemaRegister& ours, const SchemaRegister& told, StreamSeq seq) {
  if (told.kind != SchemaKind::number || told.id != number_id(told.name, self.node) || !(told.version < ours.version)) return false;
  if (replaces(ours, told)) return false;
  SchemaRegister former = told;
  former.id = former_number_id(told.name, self.node);
  const Registers::Entry* const known = registers.find(SchemaKind::number, {}, former.id);
  if (known != nullptr && !(known->value.version < told.version)) return false;
  TRY(registers.put(former, seq));
  return true;
}

bool Replica::Impl::has_former_numbers() const {
  if (state.membership != Membership::member || state.position.seq < follows_to) return false;
  return std::any_of(kHeaderNumbers.begin(), kHeaderNumbers.end(), [&](const HeaderNumber& number) {
    return registers.find(SchemaKind::number, {}, former_number_id(number.name, self.node)) != nullptr;
  });
}

// All is read that another node may have made of a former one. If nobody replaced it, it and ours become one: as of two nodes' the higher value stands.
Status Replica::Impl::settle_former_numbers() {
  if (!has_former_numbers()) return ok();
  tables_dirty = true;
  for (const HeaderNumber& number : kHeaderNumbers) {
    const Registers::Entry* const entry = registers.find(SchemaKind::number, {}, former_number_id(number.name, self.node));
    const Registers::Entry* const own = registers.find(SchemaKind::number, {}, number_id(number.name, self.node));
    if (entry == nullptr || own == nullptr) continue;
    const SchemaRegister former = entry->value, ours = own->value;
    const auto all = registers.numbers(number.name);
    const bool out = std::any_of(all.begin(), all.end(), [&](const Registers::Entry* one) { return replaces(one->value, former); });
    TRY(registers.remove(former));
    SchemaRegister both = ours;
    set_number(both, std::max(number_of(ours), number_of(former)));
    std::vector<Version> replaced = replaced_by_either(ours, former);
    if (out || (number_of(both) == number_of(ours) && replaced == replaced_by(ours))) continue;
    std::erase_if(replaced, [&](const Version& version) { return version.origin.node == self.node; });
    replaced.push_back(former.version);
    both.body = spell_replaced(replaced);
    both.version = Version{state.clock.tick(env.now(), env.now()), self};
    TRY(registers.put(both, std::nullopt));
  }
  return carry_out_numbers();
}

// What the registers say stands in the file: whoever changes it from now on replaces all of them.
Status Replica::Impl::numbers_are_here(const HeaderNumber& number) {
  for (const Registers::Entry* const entry : registers.numbers(number.name)) {
    if (entry->value.version == Version{}) continue;
    const SchemaRegister value = entry->value;
    TRY(registers.set_here(value, spell_version(value.version)));
  }
  return ok();
}

// This file belongs to the stream now. What it brought along is a change of its own where it stands, else it is nothing to tell.
Status Replica::Impl::settle_numbers() {
  for (const HeaderNumber& number : kHeaderNumbers) {
    const Registers::Entry* const entry = registers.find(SchemaKind::number, {}, number.name);
    if (entry == nullptr) continue;
    const SchemaRegister brought = entry->value;
    const SchemaRegister* const said = standing(number);
    const bool stands = said->version == Version{};
    TRY(registers.remove(brought));
    const SchemaRegister* const theirs = standing(number);
    if (stands && (theirs == nullptr || number_of(*theirs) != number_of(brought))) TRY(put_number(number, brought));
  }
  return carry_out_numbers();
}

Result<bool> Replica::Impl::numbers_wait() {
  for (const HeaderNumber& number : kHeaderNumbers) {
    const SchemaRegister* const said = standing(number);
    TRY_ASSIGN(const int64_t now, store.integer(number.read));
    if (said != nullptr && number_of(*said) != now) return true;
  }
  return false;
}

// An application that reads a number takes what it stands for as done: it waits until all of the schema is.
Status Replica::Impl::carry_out_numbers() {
  for (const HeaderNumber& number : kHeaderNumbers) {
    const SchemaRegister* const said = standing(number);
    if (said == nullptr) continue;
    const int32_t wanted = number_of(*said);
    TRY_ASSIGN(const int64_t now, store.integer(number.read));
    if (now != wanted) {
      if (!unmade.empty()) {
        const std::string waits = spoken(number, wanted) + " of the cluster waits here, where " + std::to_string(now) +
                                  " stands, for what cannot be made: " + unmade.begin()->first;
        if (told_numbers.insert(waits).second) log(LogLevel::warn, waits);
        continue;
      }
      tables_dirty = true;
      TRY(db.exec(std::string(number.read) + " = " + std::to_string(wanted)));
      TRY(store.set_meta(number.seen_meta, int64_t{wanted}));
      log(LogLevel::info, spoken(number, wanted) + " was set in the cluster: set, after " + std::to_string(now));
    }
    TRY(numbers_are_here(number));
  }
  return ok();
}

}  // namespace marmot::replica
