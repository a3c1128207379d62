import java.sql.*;

public class Jdbc {
    static int number(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(sql)) {
            return rows.getInt(1);
        }
    }

    public static void main(String[] arguments) throws Exception {
        // SNIPPET
        System.out.println("version " + connection.getMetaData().getDriverVersion());
        System.out.println("busy " + number(connection, "PRAGMA busy_timeout"));
        try {
            connection.setAutoCommit(false);
            number(connection, "SELECT count(*) FROM note");
            System.out.println("open");
            System.in.read();
            try (Statement statement = connection.createStatement()) {
                statement.executeUpdate("INSERT INTO note(body) VALUES('framework')");
            }
            connection.commit();
            System.out.println("done");
        } catch (SQLException error) {
            System.out.println("error " + error.getMessage());
        }
    }
}
