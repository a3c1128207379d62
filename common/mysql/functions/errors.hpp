// MySQL's error numbers, as its manual's "Server Error Message Reference" lists them; only those that functions give.
#pragma once

namespace marmot::mysql {

enum ErrorNumber : int {
  kErWrongArguments = 1210,              // ER_WRONG_ARGUMENTS
  kErUnknownCharacterSet = 1115,         // ER_UNKNOWN_CHARACTER_SET
  kErUnknownTimeZone = 1298,             // ER_UNKNOWN_TIME_ZONE
  kErTruncatedWrongValue = 1292,         // ER_TRUNCATED_WRONG_VALUE: a warning
  kErAllowedPacketOverflowed = 1301,     // ER_WARN_ALLOWED_PACKET_OVERFLOWED: a warning
  kErDivisionByZero = 1365,              // ER_DIVISION_BY_ZERO: a warning
  kErWrongValueForType = 1411,           // ER_WRONG_VALUE_FOR_TYPE: a warning
  kErDatetimeFunctionOverflow = 1441,    // ER_DATETIME_FUNCTION_OVERFLOW: a warning
  kErWrongParametersToNativeFct = 1583,  // ER_WRONG_PARAMETERS_TO_NATIVE_FCT
  kErDataOutOfRange = 1690,              // ER_DATA_OUT_OF_RANGE
  kErInvalidArgumentForLogarithm = 3020, // ER_INVALID_ARGUMENT_FOR_LOGARITHM: a warning
  kErRegexpTimeOut = 3699,               // ER_REGEXP_TIME_OUT
};

}  // namespace marmot::mysql
