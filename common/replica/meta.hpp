// The keys of __marmot_meta (sql/schema.sql), all of them. (SQL text that both halves share, and the extension's, spells them out.)
#pragma once

#include <cstdint>
#include <string_view>

namespace marmot::replica {

namespace meta {
inline constexpr std::string_view kFormat = "format";          // of the internal tables; kFormatVersion
inline constexpr std::string_view kNodeId = "node_id";
inline constexpr std::string_view kHlc = "hlc";                // the clock
inline constexpr std::string_view kStreamId = "stream_id";
inline constexpr std::string_view kCursorSeq = "cursor_seq";
inline constexpr std::string_view kCursorMsgId = "cursor_msg_id";
inline constexpr std::string_view kCursorAt = "cursor_at";
inline constexpr std::string_view kHashKey = "hash_key";       // the cluster's secret, under which rows are hashed: decision 0027
inline constexpr std::string_view kMembership = "membership";  // Membership as a number
inline constexpr std::string_view kJoinEnd = "join_end";       // stream sequence at which joining ends
inline constexpr std::string_view kQuarantineDropped = "quarantine_dropped";  // messages of which nothing is kept any more
inline constexpr std::string_view kConflictsDropped = "conflicts_dropped";  // how many the bound has pushed out
inline constexpr std::string_view kTrimmed = "trimmed";        // 1: the stream was read from after its first message
inline constexpr std::string_view kFloorSeq = "floor_seq";     // Floor, of this stream
inline constexpr std::string_view kFloorHlc = "floor_hlc";
inline constexpr std::string_view kPrunedHlc = "pruned_hlc";   // no tombstone that __marmot_pruned remembers is younger
inline constexpr std::string_view kGapFirst = "gap_first";     // Gap, of this stream
inline constexpr std::string_view kGapLast = "gap_last";
inline constexpr std::string_view kFence = "fence";            // the message with which a node last told this stream a former one's floor
inline constexpr std::string_view kReread = "reread";          // 1: after lost history, until all that this file holds is in the stream
inline constexpr std::string_view kFloorSeen = "floor_seen";   // the highest HLC of the stream's floors
inline constexpr std::string_view kStreamTime = "stream_time"; // the highest of JetStream's times of the messages that were applied
inline constexpr std::string_view kClockBound = "clock_bound"; // as codec::Genesis has it; absent: the default
inline constexpr std::string_view kSeenHlc = "seen_hlc";       // the highest HLC that the stream brought, and that was not refused
inline constexpr std::string_view kUserVersionSeen = "user_version_seen";      // what stood in the header when it was last looked at
inline constexpr std::string_view kApplicationIdSeen = "application_id_seen";
inline constexpr std::string_view kLastTableId = "last_table_id";  // __marmot_table.id that was given last
// Of this copy of the file:
inline constexpr std::string_view kRowLife = "row_life";                      // names new rows without a declared key: decision 0030
inline constexpr std::string_view kDatedLife = "dated_life";                  // the same number, where that life's names are dated: decision 0044
inline constexpr std::string_view kFilePlace = "file_place";                  // "device:inode:machine" of the file, to know a copy
inline constexpr std::string_view kBoot = "boot";                             // of the machine, when an agent last opened it: the kernel's boot id
inline constexpr std::string_view kJournalModeBefore = "journal_mode_before"; // what `marmot cleanup` sets again
// Of a file that is a snapshot, until somebody takes it for his own:
inline constexpr std::string_view kSnapshotAt = "snapshot_at";                // wall clock, milliseconds
inline constexpr std::string_view kSnapshotNode = "snapshot_node";
inline constexpr std::string_view kSnapshotRows = "snapshot_rows";

inline constexpr int64_t kFormatVersion = 5;  // of the internal tables: docs/format.md
inline constexpr int64_t kOldestFormat = 3;   // that is read: it lacks tables, which are made
}  // namespace meta

}  // namespace marmot::replica
