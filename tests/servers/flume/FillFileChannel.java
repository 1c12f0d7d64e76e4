// Makes folders of the file channel with the real Apache Flume, and asks the real Flume what waits in
// them. The folders in host/channel/tests/flume-file-channel were made by it:
//
//   java -cp "$FLUME_LIB/*" tests/servers/flume/FillFileChannel.java FOLDER
//
// Each is copied while its channel is open, which is what a kill leaves, or after it was closed.
// `expected` holds what a channel gives that Flume opens on a copy: one event a line, headers first;
// `expected-without-checkpoint` the same when the checkpoint is taken away before.

import java.io.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;
import org.apache.flume.*;
import org.apache.flume.channel.file.FileChannel;
import org.apache.flume.conf.Configurables;
import org.apache.flume.event.EventBuilder;

public class FillFileChannel {
    static Path root;
    static int number;

    /** A transaction on a thread of its own, so that several can be open at once. */
    static class Open {
        final ExecutorService thread = Executors.newSingleThreadExecutor(task -> {
            Thread thread = new Thread(task);
            thread.setDaemon(true);
            return thread;
        });
        final FileChannel channel;
        Transaction transaction;

        Open(FileChannel channel) throws Exception {
            this.channel = channel;
            run(() -> { transaction = channel.getTransaction(); transaction.begin(); });
        }

        void run(Runnable what) throws Exception { thread.submit(what).get(); }

        Open put(int events) throws Exception {
            for (int i = 0; i < events; i++) {
                int n = ++number;
                Map<String, String> headers = new TreeMap<>();
                headers.put("n", "" + n);
                if (n % 3 == 0) headers.put("host", "grüße");
                byte[] body = ("event " + n).getBytes(StandardCharsets.UTF_8);
                run(() -> channel.put(EventBuilder.withBody(body, headers)));
            }
            return this;
        }

        Open take(int events) throws Exception {
            for (int i = 0; i < events; i++) run(() -> { if (channel.take() == null) throw new IllegalStateException("empty"); });
            return this;
        }

        void commit() throws Exception { run(() -> { transaction.commit(); transaction.close(); }); thread.shutdown(); }
        void rollback() throws Exception { run(() -> { transaction.rollback(); transaction.close(); }); thread.shutdown(); }
    }

    static FileChannel open(Path folder, int dataFolders, Map<String, String> more) {
        StringJoiner data = new StringJoiner(",");
        for (int i = 1; i <= dataFolders; i++) data.add(folder.resolve("data" + i).toString());
        Context context = new Context();
        context.put("checkpointDir", folder.resolve("checkpoint").toString());
        context.put("dataDirs", data.toString());
        context.put("capacity", "40");
        context.put("transactionCapacity", "20");
        context.put("keep-alive", "0");
        context.put("minimumRequiredSpace", "1048576");
        context.put("checkpointInterval", "3600000");
        more.forEach(context::put);
        FileChannel channel = new FileChannel();
        channel.setName("c1");
        Configurables.configure(channel, context);
        channel.start();
        if (!channel.isOpen()) throw new IllegalStateException("not open: " + folder);
        return channel;
    }

    static void copy(Path from, Path to) throws IOException {
        try (var files = Files.walk(from)) {
            for (Path path : (Iterable<Path>) files::iterator) {
                String name = path.getFileName().toString();
                if (path.toString().contains("queueset") || name.equals("in_use.lock")) continue;
                Path target = to.resolve(from.relativize(path).toString());
                if (Files.isDirectory(path)) Files.createDirectories(target);
                else Files.write(target, trimmed(name, Files.readAllBytes(path)));
            }
        }
    }

    /** The filling of a log is cut to sixteen bytes. */
    static byte[] trimmed(String name, byte[] bytes) {
        if (!name.matches("log-\\d+")) return bytes;
        int end = bytes.length;
        while (end > 0 && bytes[end - 1] == (byte) 0x80) end--;
        return Arrays.copyOf(bytes, Math.min(bytes.length, end + 16));
    }

    /** What the real Flume gives that is started on a copy. */
    static List<String> drained(Path folder, int dataFolders, boolean withCheckpoint) throws Exception {
        Path place = Files.createTempDirectory("drain");
        copy(folder, place);
        if (!withCheckpoint)
            try (var files = Files.list(place.resolve("checkpoint"))) { for (Path path : (Iterable<Path>) files::iterator) Files.delete(path); }
        FileChannel channel = open(place, dataFolders, Map.of("transactionCapacity", "40"));
        List<String> lines = new ArrayList<>();
        Transaction transaction = channel.getTransaction();
        transaction.begin();
        for (Event event; (event = channel.take()) != null; )
            lines.add(new TreeMap<>(event.getHeaders()) + " " + new String(event.getBody(), StandardCharsets.UTF_8));
        transaction.commit();
        transaction.close();
        channel.stop();
        return lines;
    }

    static void keep(String name, Path live, int dataFolders) throws Exception {
        Path kept = root.resolve(name);
        copy(live, kept);
        Files.write(kept.resolve("expected"), drained(kept, dataFolders, true));
        Files.write(kept.resolve("expected-without-checkpoint"), drained(kept, dataFolders, false));
    }

    /** Everything a transaction can come to, in one file. */
    static void mixed() throws Exception {
        number = 0;
        Path live = Files.createTempDirectory("mixed");
        FileChannel channel = open(live, 1, Map.of());
        new Open(channel).put(5).commit();
        new Open(channel).put(2).rollback();
        new Open(channel).take(2).commit();
        new Open(channel).take(1).rollback();
        new Open(channel).put(2).commit();
        Open first = new Open(channel).put(1), second = new Open(channel).put(2);
        second.commit();
        first.put(1).commit();
        Open left = new Open(channel).put(2), taken = new Open(channel).take(2);
        keep("killed", live, 1);
        left.rollback();
        taken.rollback();
        channel.stop();
        keep("stopped", live, 1);
    }

    /** Transactions that are open when a checkpoint is written and end behind it; several log files. */
    static void checkpointed() throws Exception {
        number = 0;
        Path live = Files.createTempDirectory("checkpointed");
        FileChannel channel = open(live, 1, Map.of("checkpointInterval", "1000", "maxFileSize", "700"));
        new Open(channel).put(6).commit();
        Open puts = new Open(channel).put(2), takes = new Open(channel).take(2), back = new Open(channel).take(1);
        Thread.sleep(2500);
        new Open(channel).put(3).commit();
        puts.put(1).commit();
        takes.commit();
        back.rollback();
        new Open(channel).take(1).commit();
        keep("checkpointed", live, 1);
        channel.stop();
    }

    /** Two data folders, with takes in another folder than the puts. */
    static void folders() throws Exception {
        number = 0;
        Path live = Files.createTempDirectory("folders");
        FileChannel channel = open(live, 2, Map.of("maxFileSize", "500"));
        for (int i = 0; i < 6; i++) new Open(channel).put(3).commit();
        for (int i = 0; i < 3; i++) new Open(channel).take(3).commit();
        Open left = new Open(channel).take(2);
        new Open(channel).put(1).commit();
        keep("two-folders", live, 2);
        left.rollback();
        channel.stop();
    }

    /** Log files with takes are gone, and only the checkpoint still knows of them. */
    static void gone() throws Exception {
        number = 0;
        Path live = Files.createTempDirectory("gone");
        FileChannel channel = open(live, 2, Map.of("maxFileSize", "300", "checkpointInterval", "1000"));
        // Transactions alternate between the folders. The first folder's file stays young and small;
        // puts that live long stand in the second one's later files.
        Open even = new Open(channel), odd = new Open(channel);
        odd.put(6).commit();
        even.take(2).commit();
        for (int i = 0; i < 4; i++) { Open skip = new Open(channel); new Open(channel).put(1).commit(); skip.rollback(); }
        for (int i = 0; i < 4; i++) { new Open(channel).put(1).commit(); Open skip = new Open(channel); skip.rollback(); Thread.sleep(1100); }
        Thread.sleep(2500);
        keep("gone", live, 2);
        channel.stop();
    }

    public static void main(String[] arguments) {
        root = Path.of(arguments[0]);
        try {
            mixed();
            checkpointed();
            folders();
            gone();
            System.exit(0);
        } catch (Exception error) {
            error.printStackTrace();
            System.exit(1);
        }
    }
}
