// MySQL's error numbers, as its manual's "Server Error Message Reference" lists them; only those that functions give.
#pragma once

namespace marmot::mysql {

enum ErrorNumber : int {
  kErUnknown = 1105,                     // ER_UNKNOWN_ERROR
  kErUnknownCharacterSet = 1115,         // ER_UNKNOWN_CHARACTER_SET
  kErWrongArguments = 1210,              // ER_WRONG_ARGUMENTS
  kErZlibData = 1259,                    // ER_ZLIB_Z_DATA_ERROR: a warning
  kErGroupConcatCut = 1260,              // ER_CUT_VALUE_GROUP_CONCAT: a warning
  kErWarnDataOutOfRange = 1264,          // ER_WARN_DATA_OUT_OF_RANGE: a warning
  kErTruncatedWrongValue = 1292,         // ER_TRUNCATED_WRONG_VALUE: a warning
  kErUnknownTimeZone = 1298,             // ER_UNKNOWN_TIME_ZONE
  kErAllowedPacketOverflowed = 1301,     // ER_WARN_ALLOWED_PACKET_OVERFLOWED: a warning
  kErDivisionByZero = 1365,              // ER_DIVISION_BY_ZERO: a warning
  kErTooBigScale = 1425,                 // ER_TOO_BIG_SCALE
  kErTooBigPrecision = 1426,             // ER_TOO_BIG_PRECISION
  kErMBiggerThanD = 1427,                // ER_M_BIGGER_THAN_D
  kErWrongValueForType = 1411,           // ER_WRONG_VALUE_FOR_TYPE: a warning
  kErDatetimeFunctionOverflow = 1441,    // ER_DATETIME_FUNCTION_OVERFLOW: a warning
  kErWrongParametersToNativeFct = 1583,  // ER_WRONG_PARAMETERS_TO_NATIVE_FCT
  kErDataOutOfRange = 1690,              // ER_DATA_OUT_OF_RANGE
  kErWarnDeprecatedSyntax = 1287,        // ER_WARN_DEPRECATED_SYNTAX: a warning
  kErInvalidCharacterString = 1300,      // ER_INVALID_CHARACTER_STRING
  kErWrongParamCount = 1582,             // ER_WRONG_PARAMCOUNT_TO_NATIVE_FCT
  kErIncorrectType = 3064,               // ER_INCORRECT_TYPE
  kErInvalidJsonText = 3140,             // ER_INVALID_JSON_TEXT
  kErInvalidJsonTextInParam = 3141,      // ER_INVALID_JSON_TEXT_IN_PARAM
  kErInvalidJsonPath = 3143,             // ER_INVALID_JSON_PATH
  kErInvalidJsonCharset = 3144,          // ER_INVALID_JSON_CHARSET
  kErInvalidTypeForJson = 3146,          // ER_INVALID_TYPE_FOR_JSON
  kErInvalidJsonPathWildcard = 3149,     // ER_INVALID_JSON_PATH_WILDCARD
  kErJsonValueTooBig = 3150,             // ER_JSON_VALUE_TOO_BIG
  kErJsonVacuousPath = 3153,             // ER_JSON_VACUOUS_PATH
  kErJsonBadOneOrAllArg = 3154,          // ER_JSON_BAD_ONE_OR_ALL_ARG
  kErInvalidJsonValueForCast = 3156,     // ER_INVALID_JSON_VALUE_FOR_CAST: a warning
  kErJsonDocumentTooDeep = 3157,         // ER_JSON_DOCUMENT_TOO_DEEP
  kErJsonDocumentNullKey = 3158,         // ER_JSON_DOCUMENT_NULL_KEY
  kErInvalidJsonPathArrayCell = 3165,    // ER_INVALID_JSON_PATH_ARRAY_CELL
  kErMultipleJsonValues = 3966,          // ER_MULTIPLE_JSON_VALUES
  kErWrongValue = 1525,                  // ER_WRONG_VALUE: a warning
  kErAesInvalidIv = 1882,                // ER_AES_INVALID_IV
  kErInvalidArgumentForLogarithm = 3020, // ER_INVALID_ARGUMENT_FOR_LOGARITHM: a warning
  kErUserLockWrongName = 3057,           // ER_USER_LOCK_WRONG_NAME
  kErUserLockDeadlock = 3058,            // ER_USER_LOCK_DEADLOCK
  kErBitwiseOperandsSize = 3513,         // ER_INVALID_BITWISE_OPERANDS_SIZE
  kErRegexpTimeOut = 3699,               // ER_REGEXP_TIME_OUT
  kErAesInvalidKdf = 4084,               // ER_AES_INVALID_KDF_NAME and its like
};

}  // namespace marmot::mysql
