# rails_migrate.rb DATABASE STEP: one of the steps below, as ActiveRecord migrations.
require "active_record"

ActiveRecord::Base.establish_connection(adapter: "sqlite3", database: ARGV[0], timeout: 20_000)
ActiveRecord::Migration.verbose = false

class Create < ActiveRecord::Migration[6.1]
  def up
    create_table(:users) { |t| t.string :name, null: false; t.integer :age; t.timestamps null: true }
    create_table(:posts) { |t| t.references :user, foreign_key: true; t.text :body }
    add_index :users, :name
  end
end

class Add < ActiveRecord::Migration[6.1]
  def up
    add_column :users, :city, :string, default: "Oslo", null: false
    add_column :posts, :stars, :integer
  end
end

class Alter < ActiveRecord::Migration[6.1]
  def up
    change_column :users, :age, :float
    change_column_null :users, :age, false, 0
    change_column_default :posts, :stars, 3
  end
end

class Rename < ActiveRecord::Migration[6.1]
  def up
    rename_column :users, :city, :town
    rename_table :posts, :articles
  end
end

class Drop < ActiveRecord::Migration[6.1]
  def up
    remove_column :articles, :stars
    remove_index :users, :name
    add_index :users, [:name, :town]
  end
end

# In one transaction, as `rails db:migrate` runs it.
ActiveRecord::Base.transaction { Object.const_get(ARGV[1].capitalize).migrate(:up) }
