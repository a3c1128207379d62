import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.Statement;

public class Jdbc {
    static long insert(PreparedStatement statement, Object... values) throws Exception {
        for (int i = 0; i < values.length; i++) statement.setObject(i + 1, values[i]);
        statement.executeUpdate();
        try (ResultSet keys = statement.getGeneratedKeys()) {
            keys.next();
            return keys.getLong(1);
        }
    }

    public static void main(String[] words) throws Exception {
        Connection connection = DriverManager.getConnection("jdbc:sqlite:" + words[0] + "?transaction_mode=IMMEDIATE&busy_timeout=30000");
        connection.setAutoCommit(false);
        PreparedStatement parents = connection.prepareStatement("INSERT INTO parent(name) VALUES(?)", Statement.RETURN_GENERATED_KEYS);
        PreparedStatement children = connection.prepareStatement("INSERT INTO child(parent, name) VALUES(?, ?)", Statement.RETURN_GENERATED_KEYS);
        PreparedStatement returning = connection.prepareStatement("INSERT INTO child(parent, name) VALUES(?, ?) RETURNING id");
        for (int number = 0; number < Integer.parseInt(words[2]); number++) {
            String name = words[1] + " " + number;
            long parent = insert(parents, name), child = insert(children, parent, name), returned;
            returning.setLong(1, parent);
            returning.setString(2, name);
            try (ResultSet row = returning.executeQuery()) {
                row.next();
                returned = row.getLong(1);
            }
            connection.commit();
            System.out.println(name + "\t" + parent + "\t" + child + "\t" + returned);
            Thread.sleep(20);
        }
    }
}
